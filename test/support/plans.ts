import type { Analysis } from "../../src/analysis.js";
import { comparePaired } from "../../src/data/statistics.js";
import type { Format } from "../../src/formats.js";
import type { Plan } from "../../src/plan.js";

/** A verified plan for `count` layers: the first float, then int8, every fourth with an int4 weight. Node names are as hostile as files allow. */
export function samplePlan(count: number): Plan {
  const float = Uint8Array.from({ length: 400 }, (_, i) => (i < 300 ? 1 : 0));
  const quantized = float.map((right, i) => (i < 6 ? 0 : i >= 396 ? 1 : right));
  const paired = comparePaired(float, quantized);
  const step = (tried: string, metric: number, divergence: number, bytes: number, feasible: boolean) => ({
    tried,
    verdict: { feasible, metric, divergence },
    bytes,
  });
  return {
    version: 1,
    target: "ort-cpu",
    method: "direct",
    criterion: "direct",
    limits: { keep: 0.99, maxKl: 0.02 },
    layers: Array.from({ length: count }, (_, i) => ({
      node: nodeName(i),
      op: "Conv",
      weight: `weight ${i}`,
      weightFormat: weightFormat(i),
      activationFormat: i === 0 ? "float" : "int8",
      why: `reason ${i}`,
    })),
    keptFloat: [
      { reason: "biases", tensors: 3, bytes: 4096, largest: "bias <b>" },
      { reason: "read by Mul", tensors: 1, bytes: 80, largest: "factor" },
    ],
    before: { metric: "top1", value: 0.75, bytes: 4_000_000, latencyMs: 2 },
    after: { metric: "top1", value: 0.745, bytes: 1_000_000, latencyMs: 1 },
    predicted: {
      loss: 0.01,
      latencyMs: null,
      floatLatencyMs: null,
      latencyProfile: null,
      latencyError: null,
      lossError: null,
    },
    verified: {
      samples: 400,
      withinBand: true,
      flips: { lost: paired.lost, gained: paired.gained },
      paired,
      change: {
        difference: paired.difference,
        keepRatio: paired.keepRatio,
        quantized: { value: 0.745, low: 0.7, high: 0.79 },
        confidence: 0.95,
        unit: "samples",
        units: 400,
      },
      kl: 0.0123,
      fusedAsPlanned: true,
      fusionProblems: [],
      saturates: false,
      latencyRatio: 0.5,
      undone: 0,
    },
    unmet: [],
    unverified: null,
    search: {
      evaluations: 3,
      stopped: "every format has been tried",
      steps: [
        step("float", 0.75, 0, 4_000_000, true),
        step("int8 for all", 0.748, 0.001, 1_000_000, true),
        step("int4 for all", 0.6, 0.5, 500_000, false),
      ],
      samples: 100,
      floatMetric: 0.75,
      metric: 0.748,
      divergence: 0.001,
      proof: null,
      trust: null,
      higherIsBetter: true,
    },
    changes: [{ pass: "fold-constants", nodes: [nodeName(0)], explanation: "it is constant" }],
  };
}

export function nodeName(i: number): string {
  return `/block.${i}/</script><b>&"'`;
}

function weightFormat(i: number): Format {
  if (i === 0) return "float";
  return i % 4 === 0 ? "int4" : "int8";
}

/** An analysis of the sample plan's layers in which layer i costs 10^-(i mod 5). */
export function sampleAnalysis(count: number): Analysis {
  const sites = Array.from({ length: count }, (_, i) => [
    { id: `${nodeName(i)}/weight`, kind: "weight" as const, tensor: `weight ${i}`, elements: 100 * (i + 1) },
    { id: `${nodeName(i)}/activation`, kind: "activation" as const, tensor: `x ${i}`, elements: 50 },
  ]).flatMap((pair, i) => pair.map((site) => ({ ...site, node: nodeName(i), op: "Conv", group: `weight ${i}` })));
  const cost = (i: number) => 10 ** -(i % 5);
  return {
    version: 4,
    binding: { model: "m", data: "d", judged: { output: "y", divergence: "kl" }, options: { samples: 64 } },
    ranges: { x: [-1, 1] },
    roundedWeights: {},
    biasShifts: {},
    floatKernels: [],
    reducesRange: false,
    sites,
    criteria: {
      direct: Object.fromEntries(
        sites.map(({ id, kind }, s) => {
          const i = Math.floor(s / 2);
          return [id, { cost: kind === "weight" ? { int8: cost(i) / 100, int4: cost(i) } : { int8: cost(i) / 10 } }];
        }),
      ),
    },
    interactions: { source: "none", choices: [], matrix: [] },
    seconds: { direct: 1 },
  };
}
