import { afterEach, expect, test, vi } from "vitest";
import type { Analysis } from "../../../src/analysis.js";
import { Simulator } from "../../../src/evaluate/simulator.js";
import { measureSensitivities, type SensitivityOptions } from "../../../src/measure-sensitivities.js";
import type { SensitivityContext } from "../../../src/sensitivity/criterion.js";
import { noInteractions } from "../../../src/sensitivity/interactions.js";
import { perceptron } from "../../support/perceptron.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";

const opened: SensitivityContext[] = [];

afterEach(async () => {
  for (const { engine } of opened.splice(0)) await engine.dispose();
});

const empty: Analysis = {
  version: 4,
  binding: { model: "m", data: "d", judged: { output: "y", divergence: "kl" }, options: {} },
  ranges: {},
  biasShifts: {},
  floatKernels: [],
  reducesRange: false,
  sites: [],
  criteria: {},
  interactions: noInteractions,
  seconds: {},
};

/** Runs on the perceptron; stops at the part whose number is given, as a process that is killed after saving it. */
async function run(known: Analysis, options: Omit<SensitivityOptions, "onPart">, stopAt = Number.POSITIVE_INFINITY) {
  const quantizers = { int8: symmetric(8, [0.11]), int4: symmetric(4, [0.31]) };
  const sites = perceptron.sites.map((site) => ({ ...site, quantizers }));
  const context = await sensitivityContext(perceptron.model, perceptron.feeds, sites, {
    data: { labels: perceptron.labels },
    loss: "kl",
  });
  opened.push(context);
  const evaluate = vi.spyOn(context.evaluator, "evaluate");
  const project = vi.spyOn(context.engine.graph, "project");
  const parts: Analysis[] = [];
  const onPart = (part: Analysis) => {
    // What is saved is text.
    parts.push(JSON.parse(JSON.stringify(part)) as Analysis);
    if (parts.length >= stopAt) throw new Error("killed");
  };
  const simulator = new Simulator(context.engine, perceptron.model);
  const whole = await measureSensitivities({ simulator }, context, known, { ...options, onPart }).catch(
    () => undefined,
  );
  return { whole, parts, evaluations: evaluate.mock.calls.length, projections: project.mock.calls.length };
}

const withoutTimes = (analysis: Analysis | undefined) => ({ ...analysis, seconds: {} });

test("interactions are computed once, and criteria made of them cost what they did", async () => {
  const alone = await run(empty, { criteria: ["curvature"] });
  expect(alone.whole!.interactions.source).toBe("none");
  const both = await run(empty, { criteria: ["curvature"], interactions: "fisher" });
  expect(both.projections).toBe(alone.projections);
  expect(both.whole!.criteria).toEqual(alone.whole!.criteria);
  expect(both.whole!.seconds.curvature).toBeGreaterThanOrEqual(both.whole!.seconds.fisher!);
  expect(both.parts.map(({ interactions, criteria }) => [interactions.source, Object.keys(criteria)])).toEqual([
    ["fisher", []],
    ["fisher", ["curvature"]],
  ]);
  const again = await run(both.whole!, { criteria: ["curvature"], interactions: "fisher" });
  expect(again.projections).toBe(0);
});

test.each<[string, Omit<SensitivityOptions, "onPart">]>([
  ["measured interactions", { criteria: [], interactions: "measured" }],
  ["direct", { criteria: ["direct"] }],
])("%s go on where they were interrupted, and leave nothing unfinished", async (_, options) => {
  const { whole, parts, evaluations } = await run(empty, options);
  expect(whole).not.toHaveProperty("unfinished");
  for (const stopAt of [1, parts.length - 2]) {
    const killed = await run(empty, options, stopAt);
    expect(killed.whole).toBeUndefined();
    const resumed = await run(killed.parts.at(-1)!, options);
    expect(withoutTimes(resumed.whole)).toEqual(withoutTimes(whole));
    expect(killed.evaluations + resumed.evaluations).toBe(evaluations);
  }
});
