import { describe, expect, test } from "vitest";
import type { DatasetFromOptions } from "../../../src/data/from-feeds.js";
import type { Format } from "../../../src/formats.js";
import type { WeightQuantizer } from "../../../src/quantizer.js";
import { roundTo } from "../../../src/round-to.js";
import type { Criterion, SensitivityContext } from "../../../src/sensitivity/criterion.js";
import { lossMse, lossMseNoise } from "../../../src/sensitivity/loss-mse.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { type PerceptronTensors, perceptron, unit } from "../../support/perceptron.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";
import { float32, randomFloats } from "../../support/tensors.js";

const dims: Record<keyof PerceptronTensors, readonly number[]> = {
  "first/activation": [4],
  "first/weight": [4, 5],
  "second/activation": [5],
  "second/weight": [5, 3],
};
const fp8: WeightQuantizer = {
  format: "fp8e4m3",
  granularity: { kind: "channel", axis: 1 },
  scales: Float32Array.of(0.01, 0.02, 0.03),
};
const quantizers: Record<keyof PerceptronTensors, Partial<Record<Exclude<Format, "float">, WeightQuantizer>>> = {
  "first/activation": { int8: symmetric(8, [0.02]) },
  "first/weight": { int8: symmetric(8, [0.01, 0.02, 0.01, 0.01, 0.03], 1), int4: symmetric(4, [0.2]) },
  "second/activation": { int8: symmetric(8, [0.01]), int4: symmetric(4, [0.15]) },
  "second/weight": { int4: symmetric(4, [0.3, 0.2, 0.25], 1), fp8e4m3: fp8 },
};
const sites = perceptron.sites.map((site) => ({ ...site, quantizers: quantizers[`${site.node}/${site.kind}`] }));
const formatsOf = (id: keyof PerceptronTensors) => Object.entries(quantizers[id]) as [Format, WeightQuantizer][];
const ids = Object.keys(dims) as (keyof PerceptronTensors)[];

async function scored(criterion: Criterion, options: Partial<SensitivityContext> & { data?: DatasetFromOptions } = {}) {
  const { data = {}, ...overrides } = options;
  const squares: number[] = [];
  const context = await sensitivityContext(perceptron.model, perceptron.feeds, sites, {
    data,
    onMeanSquaredLoss: (value) => squares.push(value),
    ...overrides,
  });
  const scores = await criterion.score(context);
  await context.engine.dispose();
  return { scores, meanSquaredLoss: squares[0]! };
}

/** dL/dh along a direction, by a central difference in double. */
function slope(n: number, label: number, id: keyof PerceptronTensors, direction: ArrayLike<number>): number {
  const step = 2 ** -12;
  const [low, high] = [-step, step].map((h) => perceptron.loss(n, label, id, direction, h));
  return (high! - low!) / (2 * step);
}

async function rounding(n: number, id: keyof PerceptronTensors, quantizer: WeightQuantizer): Promise<Float32Array> {
  const exact = Float32Array.from(perceptron.tensors(n)[id]);
  return (await roundTo(backend, exact, dims[id], quantizer)).map((value, i) => value - exact[i]!);
}

function expectNear(found: number | undefined, expected: number, relative: number): void {
  expect(expected).toBeGreaterThan(0);
  expect(Math.abs(found! / expected - 1)).toBeLessThan(relative);
}

const { labels, samples } = perceptron;

describe("loss-mse of a perceptron", () => {
  test("is the mean square of each sample's slope along the error", async () => {
    const { scores, meanSquaredLoss } = await scored(lossMse, { data: { labels } });
    for (const id of ids) {
      for (const [format, quantizer] of formatsOf(id)) {
        let sum = 0;
        for (const [n, label] of labels.entries()) sum += slope(n, label, id, await rounding(n, id, quantizer)) ** 2;
        expectNear(scores[id]!.cost[format], sum / samples, 1e-3);
      }
    }
    const losses = labels.map((label, n) => perceptron.loss(n, label, "first/weight", new Float64Array(20), 0));
    expectNear(meanSquaredLoss, losses.reduce((sum, loss) => sum + loss * loss, 0) / samples, 1e-5);
  });

  test("is in the mean over noise the sum of squared slopes times variances", async () => {
    const { scores } = await scored(lossMseNoise, { data: { labels } });
    for (const id of ids) {
      for (const [format, quantizer] of formatsOf(id)) {
        let sum = 0;
        for (const [n, label] of labels.entries()) {
          const values = perceptron.tensors(n)[id];
          for (const [k, value] of values.entries()) {
            // Weights are scaled per column.
            const column = k % dims[id].at(-1)!;
            const scale = quantizer.scales[quantizer.scales.length > 1 ? column : 0]!;
            const variance = "format" in quantizer ? (2 ** -6 / 12) * value ** 2 : scale ** 2 / 12;
            sum += slope(n, label, id, unit(values.length, k)) ** 2 * variance;
          }
        }
        expectNear(scores[id]!.cost[format], sum / samples, 1e-3);
      }
    }
  });

  test.each([lossMse, lossMseNoise])("does not depend on the batches: $name", async (criterion) => {
    for (const data of [{ labels }, {}]) {
      const [small, large] = [
        await scored(criterion, { data, batchSize: 1 }),
        await scored(criterion, { data, batchSize: 6 }),
      ];
      expectNear(small.meanSquaredLoss, large.meanSquaredLoss, 1e-6);
      for (const id of ids) {
        for (const [format] of formatsOf(id)) {
          expectNear(small.scores[id]!.cost[format], large.scores[id]!.cost[format]!, 1e-4);
        }
      }
    }
  });

  test("refuses labels that the model has no class for", async () => {
    // Metrics that look at labels refuse them before.
    const wrong = scored(lossMse, { data: { labels: [0, 1, 2, 3, 1, 0], metric: "agreement" } });
    await expect(wrong).rejects.toMatchObject({ code: "invalid-data", expected: "labels below 3" });
  });

  test("draws labels from the model's own beliefs where there are none", async () => {
    // The mean over draws is e' F e, the sum over labels of their probability times the squared slope.
    const expected = Object.fromEntries(ids.map((id) => [id, 0]));
    for (const id of ids) {
      const [, quantizer] = formatsOf(id)[0]!;
      for (let n = 0; n < samples; n++) {
        const error = await rounding(n, id, quantizer);
        for (let label = 0; label < 3; label++) {
          const p = Math.exp(-perceptron.loss(n, label, id, error, 0));
          expected[id]! += (p * slope(n, label, id, error) ** 2) / samples;
        }
      }
    }
    const draws = 60;
    const found = Object.fromEntries(ids.map((id): [string, number[]] => [id, []]));
    for (let seed = 0; seed < draws; seed++) {
      const { scores } = await scored(lossMse, { seed });
      for (const id of ids) found[id]!.push(scores[id]!.cost[formatsOf(id)[0]![0]]!);
    }
    for (const id of ids) {
      const mean = found[id]!.reduce((sum, value) => sum + value, 0) / draws;
      const variance = found[id]!.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (draws - 1);
      expect(Math.abs(mean - expected[id]!)).toBeLessThan(3 * Math.sqrt(variance / draws));
      expect(variance).toBeGreaterThan(0);
    }
  });
});

describe("loss-mse of a linear layer with squared error", () => {
  // y = x W and L = |y - t|^2 / 2: the slope along an error E of W is (y - t) . (x E).
  const [count, inputs, outputs] = [5, 3, 2];
  const x = randomFloats(count * inputs, 1);
  const w = randomFloats(inputs * outputs, 2);
  const t = randomFloats(count * outputs, 3);
  const model = buildModel(17)
    .input("x", ["N", inputs])
    .constant("w", float32([inputs, outputs], w))
    .node("MatMul", ["x", "w"], ["y"], {}, { name: "layer" })
    .output("y")
    .build();
  const quantizer = symmetric(4, [0.3]);
  const layer = [{ node: "layer", kind: "weight", quantizers: { int4: quantizer } }] as const;
  const open = (data: object, seed = 0) =>
    sensitivityContext(model, { x: float32([count, inputs], x) }, layer, {
      data,
      seed,
      loss: "mse",
      divergence: "squared-error",
    });
  const times = (n: number, matrix: ArrayLike<number>, j: number) =>
    [0, 1, 2].reduce((sum, i) => sum + x[n * inputs + i]! * matrix[i * outputs + j]!, 0);

  test("compares with the true outputs", async () => {
    const context = await open({ metric: "psnr", targets: float32([count, outputs], t) });
    const scores = await lossMse.score(context);
    const error = (await roundTo(backend, w, [inputs, outputs], quantizer)).map((value, i) => value - w[i]!);
    let sum = 0;
    for (let n = 0; n < count; n++) {
      const change = [0, 1].reduce((dot, j) => dot + (times(n, w, j) - t[n * outputs + j]!) * times(n, error, j), 0);
      sum += change * change;
    }
    expectNear(scores["layer/weight"]!.cost.int4, sum / count, 1e-4);
    await context.engine.dispose();
  });

  test("draws outputs about the model's own where there are none", async () => {
    const error = (await roundTo(backend, w, [inputs, outputs], quantizer)).map((value, i) => value - w[i]!);
    // A unit normal about the output: the mean square of the slope is |x E|^2.
    let expected = 0;
    for (let n = 0; n < count; n++) for (let j = 0; j < outputs; j++) expected += times(n, error, j) ** 2 / count;
    const draws = Array.from({ length: 100 }, (_, seed) => seed);
    let mean = 0;
    for (const seed of draws) {
      const context = await open({ metric: "agreement" }, seed);
      mean += (await lossMse.score(context))["layer/weight"]!.cost.int4! / draws.length;
      await context.engine.dispose();
    }
    expectNear(mean, expected, 0.25);
  });

  test("refuses true outputs of another shape", async () => {
    const context = await open({ metric: "psnr", targets: float32([count, 1], t.slice(0, count)) }).catch(
      (error) => error,
    );
    if (context instanceof Error) return expect(context).toMatchObject({ code: "invalid-data" });
    await expect(lossMse.score(context)).rejects.toMatchObject({ code: "invalid-data", where: "targets" });
    await context.engine.dispose();
  });
});
