import { afterEach, describe, expect, test } from "vitest";
import { roundTo } from "../../../src/round-to.js";
import type { SensitivityContext } from "../../../src/sensitivity/criterion.js";
import { curvature } from "../../../src/sensitivity/curvature.js";
import { sources } from "../../../src/sensitivity/interactions/index.js";
import { type Interactions, type Matrix, predictLoss } from "../../../src/sensitivity/interactions.js";
import { buildModel } from "../../support/model-builder.js";
import { perceptron } from "../../support/perceptron.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";
import { float32, randomFloats } from "../../support/tensors.js";

const fresh = { known: [], onRows: async () => {} };
const opened: SensitivityContext[] = [];

afterEach(async () => {
  for (const { engine } of opened.splice(0)) await engine.dispose();
});

const quantizers = { int8: symmetric(8, [0.11]), int4: symmetric(4, [0.31]) };
const { feeds, labels, samples } = perceptron;
const sites = perceptron.sites.map((site) => ({ ...site, quantizers }));

async function open(options: Partial<SensitivityContext> = {}): Promise<SensitivityContext> {
  const context = await sensitivityContext(perceptron.model, feeds, sites, { data: { labels }, ...options });
  opened.push(context);
  return context;
}

/** Tensors of all sites in a sample, in the order of the sites, and their errors in each format: choice by choice. */
async function errorsOf(context: SensitivityContext, sample: number): Promise<Float64Array[]> {
  const tensors = perceptron.tensors(sample);
  const errors: Float64Array[] = [];
  for (const site of context.sites) {
    const exact = Float32Array.from(tensors[site.id as keyof typeof tensors]);
    for (const quantizer of site.quantizers.values()) {
      const dims = site.kind === "weight" ? context.weight(site).dims : [1, exact.length];
      const rounded = await roundTo(context.backend, exact, dims, quantizer);
      errors.push(Float64Array.from(rounded, (value, i) => value - exact[i]!));
    }
  }
  return errors;
}

/** log p of each class in a sample when its tensors move by given amounts, in double. */
function logits(sample: number, moves: readonly (readonly [site: string, direction: Float64Array])[]): number[] {
  const tensors: Record<string, Float64Array> = perceptron.tensors(sample);
  const moved = (id: string, from: Float64Array) =>
    moves.filter(([site]) => site === id).reduce((sum, [, move]) => sum.map((value, i) => value + move[i]!), from);
  const product = (row: Float64Array, matrix: Float64Array) => {
    const columns = matrix.length / row.length;
    return Float64Array.from({ length: columns }, (_, j) =>
      row.reduce((sum, value, i) => sum + value * matrix[i * columns + j]!, 0),
    );
  };
  const hidden = product(
    moved("first/activation", tensors["first/activation"]!),
    moved("first/weight", tensors["first/weight"]!),
  ).map(Math.tanh);
  return [...product(moved("second/activation", hidden), moved("second/weight", tensors["second/weight"]!))];
}

/** Mean over samples of a form of two choices' errors. */
async function matrixOf(
  context: SensitivityContext,
  form: (sample: number, a: [string, Float64Array], b: [string, Float64Array]) => number,
): Promise<number[][]> {
  const ids = context.sites.flatMap(({ id, quantizers }) => [...quantizers.keys()].map(() => id));
  const sums = ids.map(() => new Array<number>(ids.length).fill(0));
  for (let n = 0; n < samples; n++) {
    const errors = await errorsOf(context, n);
    for (const i of ids.keys()) {
      for (const j of ids.keys()) {
        sums[i]![j]! += form(n, [ids[i]!, errors[i]!], [ids[j]!, errors[j]!]) / samples;
      }
    }
  }
  return sums;
}

const step = 2 ** -8;
const scaled = ([id, error]: [string, Float64Array], by: number) => [id, error.map((value) => value * by)] as const;
const logSumExp = (z: readonly number[]) => Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));

/** e_a^T H e_b of a label's loss by central differences. */
function secondDifference(n: number, a: [string, Float64Array], b: [string, Float64Array]): number {
  const loss = (s: number, t: number) => {
    const z = logits(n, [scaled(a, s * step), scaled(b, t * step)]);
    return logSumExp(z) - z[labels[n]!]!;
  };
  return (loss(1, 1) - loss(1, -1) - loss(-1, 1) + loss(-1, -1)) / (4 * step * step);
}

/** r_a^T (diag(p) - p p^T) r_b with responses r of the logits by central differences. */
function gaussNewtonForm(n: number, a: [string, Float64Array], b: [string, Float64Array]): number {
  const response = (of: [string, Float64Array]) => {
    const [high, low] = [logits(n, [scaled(of, step)]), logits(n, [scaled(of, -step)])];
    return high.map((value, c) => (value - low[c]!) / (2 * step));
  };
  const z = logits(n, []);
  const p = z.map((value) => Math.exp(value - logSumExp(z)));
  const [ra, rb] = [response(a), response(b)];
  const mean = (r: number[]) => r.reduce((sum, value, c) => sum + p[c]! * value, 0);
  return ra.reduce((sum, value, c) => sum + p[c]! * value * rb[c]!, 0) - mean(ra) * mean(rb);
}

function expectClose(found: Matrix, expected: Matrix, tolerance: number): void {
  const largest = Math.max(...expected.flat().map(Math.abs));
  const difference = Math.max(...found.flatMap((row, i) => row.map((value, j) => Math.abs(value - expected[i]![j]!))));
  expect(difference / largest).toBeLessThan(tolerance);
}

describe("of a two-layer perceptron", () => {
  test("hessian is the second derivative along errors, for all weights, activations and formats", async () => {
    const context = await open();
    const { matrix, choices } = await sources.hessian(context, fresh);
    expect(choices.map(({ site, format }) => `${site} ${format}`).slice(0, 3)).toEqual([
      "first/activation int8",
      "first/activation int4",
      "first/weight int8",
    ]);
    expectClose(matrix, await matrixOf(context, secondDifference), 1e-3);
  });

  test("gauss-newton is the output's curvature along what errors do to it", async () => {
    const context = await open();
    const { matrix } = await sources["gauss-newton"](context, fresh);
    expectClose(matrix, await matrixOf(context, gaussNewtonForm), 1e-3);
  });

  test("hessian and gauss-newton agree for kl, whose slope at the float model is zero", async () => {
    const context = await open({ loss: "kl" });
    const [exact, other] = [await sources.hessian(context, fresh), await sources["gauss-newton"](context, fresh)];
    expectClose(exact.matrix, other.matrix, 1e-4);
  });

  test("for mse, gauss-newton is the mean product of responses", async () => {
    const context = await open({ loss: "mse" });
    const [exact, other] = [await sources.hessian(context, fresh), await sources["gauss-newton"](context, fresh)];
    expectClose(exact.matrix, other.matrix, 1e-4);
  });

  test.each(["kl", "mse"] as const)(
    "fisher is gauss-newton in the mean, and comes to it as probes grow in number: %s",
    async (loss) => {
      const context = await open({ loss });
      const { matrix: exact } = await sources["gauss-newton"](context, fresh);
      const distance = (matrix: Matrix) => {
        const squares = (of: Matrix) => of.flat().reduce((sum, value) => sum + value * value, 0);
        return Math.sqrt(squares(matrix.map((row, i) => row.map((v, j) => v - exact[i]![j]!))) / squares(exact));
      };
      const seeds = Array.from({ length: 200 }, (_, seed) => seed);
      const single: Matrix[] = [];
      for (const seed of seeds) single.push((await sources.fisher({ ...context, probes: 1, seed }, fresh)).matrix);
      const mean = exact.map((row, i) =>
        row.map((_, j) => single.reduce((sum, matrix) => sum + matrix[i]![j]! / seeds.length, 0)),
      );
      const typical = Math.sqrt(single.reduce((sum, matrix) => sum + distance(matrix) ** 2 / seeds.length, 0));
      // Unbiased: the mean of n is sqrt(n) times nearer than one.
      expect(distance(mean) / typical).toBeLessThan(3 / Math.sqrt(seeds.length));
      for (const seed of [1, 2, 3]) {
        const { matrix } = await sources.fisher({ ...context, probes: 64, seed }, fresh);
        expect(distance(matrix) / typical).toBeLessThan(3 / Math.sqrt(64));
      }
    },
  );

  test("nothing depends on the batches", async () => {
    for (const source of ["fisher", "gauss-newton", "hessian"] as const) {
      const [one, all] = [await open({ batchSize: 1 }), await open({ batchSize: 6 })];
      const [found, expected] = [await sources[source](one, fresh), await sources[source](all, fresh)];
      expectClose(found.matrix, expected.matrix, 1e-5);
    }
  });

  test("curvature costs half the diagonal of fisher, with its standard error", async () => {
    const context = await open({ loss: "kl" });
    const interactions = await sources.fisher(context, fresh);
    const scores = await curvature.score({ ...context, interactions: async () => interactions });
    for (const [i, { site, format }] of interactions.choices.entries()) {
      expect(scores[site]!.cost[format]).toBe(interactions.matrix[i]![i]! / 2);
      expect(scores[site]!.standardError).toBeGreaterThan(0);
    }
  });
});

describe("with corrections of biases", () => {
  const x = { x: float32([4, 3], randomFloats(12, 5, -2, 2)) };
  const model = buildModel(17)
    .input("x", ["N", 3])
    .constant("w", float32([3, 2], randomFloats(6, 6)))
    .constant("b", float32([2], [0.5, -0.25]))
    .node("Gemm", ["x", "w", "b"], ["y"], {}, { name: "layer" })
    .output("y")
    .build();
  const shift = [0.125, -0.25];

  /** A linear layer with squared error, whose bias takes a shift off; all by hand. */
  async function openLayer(): Promise<SensitivityContext> {
    const site = { node: "layer", kind: "weight", quantizers: { int4: symmetric(4, [0.4]) } } as const;
    const context = await sensitivityContext(model, x, [site], {
      data: { metric: "psnr", targets: float32([4, 2], Array(8).fill(0)) },
      loss: "mse",
      divergence: "squared-error",
    });
    opened.push(context);
    const [weight] = context.sites;
    const bias = {
      node: "layer",
      port: 2,
      initializer: "b",
      values: Float32Array.of(0.5 - shift[0]!, -0.25 - shift[1]!),
    };
    return { ...context, sites: [{ ...weight!, alone: (format) => ({ ...weight!.alone(format), biases: [bias] }) }] };
  }

  test.each(["fisher", "gauss-newton", "hessian"] as const)(
    "%s counts them apart from the weight's own error",
    async (source) => {
      const context = await openLayer();
      const { data, dims } = context.constant("w");
      const rounded = await roundTo(context.backend, data, dims, context.sites[0]!.quantizers.get("int4")!);
      const form = (correction: readonly number[]) => {
        let sum = 0;
        for (let n = 0; n < 4; n++) {
          for (const c of [0, 1]) {
            let moved = -correction[c]!;
            for (let i = 0; i < 3; i++) moved += x.x.data[n * 3 + i]! * (rounded[i * 2 + c]! - data[i * 2 + c]!);
            sum += moved ** 2 / 4;
          }
        }
        return sum;
      };
      // Signs of two outputs, products of which vanish over enough probes.
      const probes = 4096;
      const found: Interactions = await sources[source]({ ...context, probes }, fresh);
      const tolerance = source === "fisher" ? 0.1 : 1e-5;
      expectClose(found.matrix, [[form([0, 0])]], tolerance);
      expectClose(found.corrected!, [[form(shift)]], tolerance);
    },
  );
});

test("a weight that two layers read moves once", async () => {
  const model = buildModel(17)
    .input("x", ["N", 3])
    .constant("w", float32([3, 3], randomFloats(9, 8, -1, 1)))
    .node("MatMul", ["x", "w"], ["a"], {}, { name: "first" })
    .node("Tanh", ["a"], ["b"])
    .node("MatMul", ["b", "w"], ["y"], {}, { name: "second" })
    .output("y")
    .build();
  const fine = { int8: symmetric(8, [0.02]) };
  const both = ["first", "second"].map((node) => ({ node, kind: "weight", quantizers: fine }) as const);
  const context = await sensitivityContext(model, { x: float32([4, 3], randomFloats(12, 9, -2, 2)) }, both, {
    data: { labels: [0, 1, 2, 0] },
    loss: "kl",
  });
  opened.push(context);
  const interactions = await sources["gauss-newton"](context, fresh);
  const { divergence } = await context.evaluator.evaluate(context.sites[0]!.alone("int8"));
  expect(predictLoss(interactions, [0]).loss / divergence).toBeCloseTo(1, 1);
  expect(predictLoss(interactions, [0, 1]).loss).toBe(predictLoss(interactions, [0]).loss);
});
