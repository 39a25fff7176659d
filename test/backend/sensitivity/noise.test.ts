import { expect, test } from "vitest";
import { noise } from "../../../src/sensitivity/noise.js";
import { buildModel } from "../../support/model-builder.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";
import { float32, randomFloats } from "../../support/tensors.js";

const [samples, inputs, outputs] = [8, 20, 30];
const w = randomFloats(inputs * outputs, 1);
const x = randomFloats(samples * inputs, 2);
const model = buildModel(17)
  .input("x", ["N", inputs])
  .constant("w", float32([inputs, outputs], w))
  .node("MatMul", ["x", "w"], ["y"], {}, { name: "layer" })
  .output("y")
  .build();
const targets = float32([samples, outputs], Array(samples * outputs).fill(0));
const square = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);

function expectNear(found: number, expected: number, relative: number): void {
  expect(Math.abs(found / expected - 1)).toBeLessThan(relative);
}

async function scoresFor(options: { readonly seed?: number; readonly batchSize?: number } = {}) {
  const context = await sensitivityContext(
    model,
    { x: float32([samples, inputs], x) },
    [
      {
        node: "layer",
        kind: "weight",
        quantizers: {
          int8: symmetric(8, [0.01]),
          int4: symmetric(4, [0.1]),
          bf16: { format: "bf16", granularity: { kind: "tensor" }, scales: Float32Array.of(1) },
        },
      },
      { node: "layer", kind: "activation", quantizers: { int8: symmetric(8, [0.05]) } },
    ],
    { data: { metric: "psnr", targets }, loss: "cross-entropy", divergence: "squared-error", probes: 64, ...options },
  );
  const scores = await noise.score(context);
  // The float model is left as it was.
  const { divergence } = await context.evaluator.evaluate({ weights: [], biases: [], edges: [] });
  expect(divergence).toBe(0);
  await context.engine.dispose();
  return scores;
}

test("noise costs what independent errors of a step's size do to a linear layer's outputs in the mean", async () => {
  const scores = await scoresFor();
  // y = x W: half the squared error is in the mean sigma^2 outputs |x|^2 / 2 for noise on W, sigma^2 |W|^2 / 2 for noise on x.
  const meanSquare = square(x) / samples;
  const { int8, int4, bf16 } = scores["layer/weight"]!.cost;
  // One draw of 600 numbers that meets 8 samples: a relative spread of about a tenth.
  expectNear(int4!, ((0.1 ** 2 / 12) * outputs * meanSquare) / 2, 0.2);
  // The same draw, ten times smaller.
  expectNear(int4!, 100 * int8!, 1e-3);
  // 7 bits of mantissa: sigma_k^2 = w_k^2 2^-14 / 12.
  let expected = 0;
  for (let n = 0; n < samples; n++) {
    for (let k = 0; k < w.length; k++) expected += (x[n * inputs + Math.floor(k / outputs)]! * w[k]!) ** 2;
  }
  expectNear(bf16!, ((2 ** -14 / 12) * expected) / samples / 2, 0.2);
  // The trace is known to a few percent.
  const activation = scores["layer/activation"]!.cost.int8!;
  expectNear(activation, ((0.05 ** 2 / 12) * square(w)) / 2, 0.1);
});

test("noise is drawn from the seed alone", async () => {
  const [one, again, other] = [
    await scoresFor({ batchSize: 8 }),
    await scoresFor({ batchSize: 3 }),
    await scoresFor({ seed: 1 }),
  ];
  expect(again["layer/weight"]!.cost.int4).toBeCloseTo(one["layer/weight"]!.cost.int4!, 6);
  expect(other["layer/weight"]!.cost.int4).not.toBeCloseTo(one["layer/weight"]!.cost.int4!, 6);
});
