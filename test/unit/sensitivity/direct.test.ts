import { expect, test } from "vitest";
import type { Evaluator } from "../../../src/evaluate/evaluator.js";
import type { Format } from "../../../src/formats.js";
import type { Quantizer } from "../../../src/quantizer.js";
import type { SensitivityContext, Site, SiteScores } from "../../../src/sensitivity/criterion.js";
import { direct } from "../../../src/sensitivity/direct.js";

// Divergences by site and format, which the stand-in for an evaluator looks up.
const divergences: Record<string, Partial<Record<Format, number>>> = {
  "a/weight": { int8: 0.25, int4: 2 },
  "a/activation": { int8: 0.5 },
  "b/weight": { int8: 0.125, int4: 1 },
};

function context(known: SiteScores): { readonly context: SensitivityContext; readonly log: string[] } {
  const log: string[] = [];
  const sites = Object.entries(divergences).map(
    ([id, costs]) =>
      ({
        id,
        quantizers: new Map(Object.keys(costs).map((format) => [format, {} as Quantizer])),
        alone: (format: Format) => ({ weights: [], biases: [], edges: [], id, format }),
      }) as unknown as Site,
  );
  const evaluator = {
    evaluate: async (layout: unknown) => {
      const { id, format } = layout as { id: string; format: Format };
      log.push(`${id} ${format}`);
      return { divergence: divergences[id]![format]! };
    },
  } as unknown as Evaluator;
  const onScores = async (scores: SiteScores) => void log.push(`saved ${Object.keys(scores).join()}`);
  return { context: { sites, evaluator, known, onScores } as unknown as SensitivityContext, log };
}

const costs = Object.fromEntries(Object.entries(divergences).map(([id, cost]) => [id, { cost }]));

test("measures every site alone in every format, and hands scores out site by site", async () => {
  const { context: fresh, log } = context({});
  expect(await direct.score(fresh)).toEqual(costs);
  expect(log).toEqual([
    "a/weight int8",
    "a/weight int4",
    "saved a/weight",
    "a/activation int8",
    "saved a/weight,a/activation",
    "b/weight int8",
    "b/weight int4",
    "saved a/weight,a/activation,b/weight",
  ]);
});

test("goes on where an interrupted run stopped", async () => {
  const { "b/weight": _, ...known } = costs;
  const { context: resumed, log } = context(known);
  expect(await direct.score(resumed)).toEqual(costs);
  expect(log).toEqual(["b/weight int8", "b/weight int4", "saved a/weight,a/activation,b/weight"]);
});
