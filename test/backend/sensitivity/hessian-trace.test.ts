import { afterEach, describe, expect, test, vi } from "vitest";
import type { SensitivityContext, Site, SiteScore } from "../../../src/sensitivity/criterion.js";
import { hessianTrace } from "../../../src/sensitivity/hessian-trace.js";
import { estimateTraces } from "../../../src/sensitivity/traces.js";
import { buildModel } from "../../support/model-builder.js";
import { type PerceptronTensors, perceptron, unit } from "../../support/perceptron.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";
import { float32 } from "../../support/tensors.js";

const opened: SensitivityContext[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const { engine } of opened.splice(0)) await engine.dispose();
});

async function open(...given: Parameters<typeof sensitivityContext>): Promise<SensitivityContext> {
  const context = await sensitivityContext(...given);
  opened.push(context);
  return context;
}

describe("traces of a two-layer perceptron with cross-entropy", () => {
  const { model, feeds, labels, sites, samples } = perceptron;

  /** Mean over samples of the sum of second central differences in each element of one tensor. */
  function exactTrace(id: string): number {
    const step = 2 ** -10;
    const site = id as keyof PerceptronTensors;
    let trace = 0;
    for (const [n, label] of labels.entries()) {
      const count = perceptron.tensors(n)[site].length;
      for (let i = 0; i < count; i++) {
        const [low, centre, high] = [-step, 0, step].map((h) => perceptron.loss(n, label, site, unit(count, i), h));
        trace += (high! - 2 * centre! + low!) / step ** 2;
      }
    }
    return trace / samples;
  }

  const openPerceptron = (options: Partial<SensitivityContext>) =>
    open(model, feeds, sites, { data: { labels }, probes: 200, seed: 7, ...options });

  test.each([
    { probing: "network", weightProbes: "per-sample" },
    { probing: "network", weightProbes: "shared" },
    { probing: "site", weightProbes: "per-sample" },
    { probing: "site", weightProbes: "shared" },
  ] as const)("are exact within three standard errors: $probing, $weightProbes", async (options) => {
    const context = await openPerceptron(options);
    const scores = await hessianTrace.score(context);
    for (const { id } of context.sites) {
      const { trace, standardError } = scores[id]!;
      expect(standardError).toBeGreaterThan(0);
      expect(Math.abs(trace! - exactTrace(id))).toBeLessThan(3 * standardError!);
      expect(standardError).toBeLessThan(0.5 * Math.abs(exactTrace(id)));
    }
  });

  test("vary less when sites are probed one at a time", async () => {
    const spread = async (probing: "network" | "site") => {
      // The same number of probes for each.
      const context = await openPerceptron({ probing, probes: 7, seed: 1 });
      const traces = await estimateTraces(context, context.sites, { stage: "test" });
      return [...traces.values()].reduce((sum, { standardError }) => sum + standardError!, 0);
    };
    expect(await spread("site")).toBeLessThan(0.8 * (await spread("network")));
  });

  test("do not depend on the batches", async () => {
    for (const probing of ["network", "site"] as const) {
      const [small, large] = [
        await openPerceptron({ probing, batchSize: 1 }),
        await openPerceptron({ probing, batchSize: 6 }),
      ];
      const [found, expected] = [await hessianTrace.score(small), await hessianTrace.score(large)];
      for (const { id } of small.sites) expect(found[id]!.trace!).toBeCloseTo(expected[id]!.trace!, 5);
    }
  });

  test("take no more probes than allowed, and one probe has no spread", async () => {
    const context = await openPerceptron({ probes: 5 });
    const traces = await estimateTraces(context, context.sites, { stage: "test" });
    expect([...traces.values()].map(({ probes }) => probes)).toEqual([5, 5, 5, 5]);
    const single = await hessianTrace.score(await openPerceptron({ probes: 1 }));
    for (const { id } of context.sites) expect(single[id]).not.toHaveProperty("standardError");
  });
});

describe("squared error of a linear layer", () => {
  // y = x W: the Hessian is x x' for each column of W, and W W' for x. Rows of x have one entry and rows of W are orthogonal, so that both are
  // diagonal, every probe is exact, and everything can be computed by hand.
  const model = buildModel(17)
    .input("x", ["N", 2])
    .constant("w", float32([2, 3], [0.5, -1.5, 1, 2, 2, 2]))
    .node("MatMul", ["x", "w"], ["y"], {}, { name: "layer" })
    .output("y")
    .build();
  const feeds = { x: float32([3, 2], [3, 0, 0, -1, 2, 0]) };
  const quantizers = { int8: symmetric(8, [1]), int4: symmetric(4, [4]) };
  const sites = [
    { node: "layer", kind: "weight", quantizers },
    { node: "layer", kind: "activation", quantizers },
  ] as const;
  const data = { metric: "psnr", targets: float32([3, 3], Array(9).fill(0)) } as const;
  const options = { data, loss: "mse", divergence: "squared-error" } as const;

  test.each(["network", "site"] as const)("costs Tr / n |Q(t) - t|^2 / 2, %s", async (probing) => {
    const scores: Record<string, SiteScore> = {};
    // Probed together, the two would only be right in the mean.
    for (const site of sites) {
      const context = await open(model, feeds, [site], { ...options, probing, probes: 2 });
      Object.assign(scores, await hessianTrace.score(context));
    }
    // Weight: 3 columns, mean |x|^2 = (9 + 1 + 4) / 3. Half to even: 0.5 -> 0, -1.5 -> -2 in steps of 1; -1.5 -> 0, 1 -> 0, 2 -> 0 in steps of 4.
    const weight = scores["layer/weight"]!;
    expect(weight.trace).toBeCloseTo(14, 5);
    expect(weight.cost.int8).toBeCloseTo(((14 / 6) * (0.25 + 0.25)) / 2, 5);
    expect(weight.cost.int4).toBeCloseTo(((14 / 6) * (0.25 + 2.25 + 1 + 4 + 4 + 4)) / 2, 5);
    // Activation: |W|^2 = 0.25 + 2.25 + 1 + 12; 3 -> 4, -1 -> 0, 2 -> 0 in steps of 4, a mean over 3 samples.
    const activation = scores["layer/activation"]!;
    expect(activation.trace).toBeCloseTo(15.5, 5);
    expect(activation.cost.int8).toBe(0);
    expect(activation.cost.int4).toBeCloseTo(((15.5 / 2) * ((1 + 1 + 4) / 3)) / 2, 5);
  });

  test("is probed eight times when every probe is exact", async () => {
    for (const probing of ["network", "site"] as const) {
      const context = await open(model, feeds, [sites[0]], { ...options, probing, probes: 100 });
      const traces = await estimateTraces(context, context.sites, { stage: "test" });
      expect(traces.get("layer/weight")).toEqual({ mean: 14, standardError: 0, probes: 8 });
    }
  });

  test("is left out of the passes when its estimate is precise and another site's is not", async () => {
    // A dense x gives the weight's Hessian rows of equal entries: v' H v = sum over columns of (x . v)^2 is spread as widely as it is large.
    const dense = { x: float32([1, 2], [1, 1]) };
    const probesOf = async (probing: "network" | "site") => {
      const single = { ...data, targets: float32([1, 3], [0, 0, 0]) };
      const context = await open(model, dense, sites, { ...options, data: single, probing, probes: 12 });
      const declared: (readonly Site["kind"][])[] = [];
      const setSites = context.engine.graph.setSites.bind(context.engine.graph);
      vi.spyOn(context.engine.graph, "setSites").mockImplementation((given) => {
        declared.push([
          ...given.weights.map(() => "weight" as const),
          ...(given.edges ?? []).map(() => "activation" as const),
        ]);
        return setSites(given);
      });
      const traces = await estimateTraces(context, context.sites, { stage: "test" });
      return { probes: Object.fromEntries([...traces].map(([id, { probes }]) => [id, probes])), declared };
    };
    const alone = await probesOf("site");
    expect(alone.probes).toEqual({ "layer/weight": 12, "layer/activation": 8 });
    expect(alone.declared.slice(8)).toEqual([["weight"], ["weight"]]);
    const together = await probesOf("network");
    expect(together.probes).toEqual({ "layer/weight": 12, "layer/activation": 12 });
  });
});
