import type { LayoutParts } from "../../evaluate/simulator.js";
import { Stage } from "../../progress.js";
import type { Interactions } from "../interactions.js";
import { choicesOf } from "./choices.js";
import { mirrored } from "./matrix.js";
import type { Source } from "./source.js";

/**
 * Interactions from forward passes alone: the divergence of every pair of choices together, less that of each by itself. For C choices that is
 * C (C + 1) / 2 runs over the samples, so it is for small models; in return no order of the loss is left out of a pair's term. Pairs are taken
 * across formats too, since a mixed configuration has them. As for the criterion `direct`, the loss is the divergence from the float outputs.
 */
export const measured: Source = async ({ sites, evaluator, onProgress, signal }, { known, onRows }) => {
  const choices = choicesOf(sites);
  const parts = choices.map(({ site, format }) => site.alone(format));
  const stage = new Stage({ onProgress, signal }, "measured interactions", (choices.length * (choices.length + 1)) / 2);
  const rows = known.slice(0, choices.length).map((row) => [...row]);
  stage.step(undefined, (rows.length * (rows.length + 1)) / 2);
  const alone = (i: number) => rows[i]![i]! / 2;
  for (const [i, { site, format }] of choices.entries()) {
    if (i < rows.length) continue;
    const own = (await evaluator.evaluate(parts[i]!)).divergence;
    stage.step(`${site.id} ${format}`);
    const row: number[] = [];
    for (let j = 0; j < i; j++) {
      const possible = choices[j]!.site !== site;
      const both = possible ? (await evaluator.evaluate(together(parts[i]!, parts[j]!))).divergence : undefined;
      row.push(both === undefined ? 0 : both - own - alone(j));
      stage.step(`${site.id} ${format} with ${choices[j]!.site.id} ${choices[j]!.format}`);
    }
    rows.push([...row, 2 * own]);
    await onRows(rows);
  }
  return {
    source: "measured",
    choices: choices.map(({ site, format }) => ({ site: site.id, format })),
    matrix: mirrored(rows),
  } satisfies Interactions;
};

function together(a: LayoutParts, b: LayoutParts): LayoutParts {
  return {
    weights: [...a.weights, ...b.weights],
    biases: [...a.biases, ...b.biases],
    edges: [...a.edges, ...b.edges],
  };
}
