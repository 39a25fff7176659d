import { expect, test } from "vitest";
import { relativeError } from "../../../src/sensitivity/quantization-error.js";
import { buildModel } from "../../support/model-builder.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";
import { float32 } from "../../support/tensors.js";

test("quantization-error is the square of the error over that of the tensor", async () => {
  const model = buildModel(17)
    .input("x", ["N", 2])
    .constant("w", float32([2, 3], [0.5, -1.5, 1, 2, 2, 2]))
    .constant("zero", float32([3, 3], Array(9).fill(0)))
    .node("MatMul", ["x", "w"], ["y"], {}, { name: "layer" })
    .node("MatMul", ["y", "zero"], ["z"], {}, { name: "nothing" })
    .output("z")
    .build();
  const feeds = { x: float32([3, 2], [3, 0.25, 0, -1, 2, 0]) };
  const context = await sensitivityContext(
    model,
    feeds,
    [
      // fp8e5m2 has steps of an eighth between 0.5 and 1 and of a quarter up to 2, so it holds all of w.
      {
        node: "layer",
        kind: "weight",
        quantizers: {
          int8: symmetric(8, [0.5, 4], 0),
          fp8e5m2: { format: "fp8e5m2", granularity: { kind: "tensor" }, scales: Float32Array.of(1) },
        },
      },
      { node: "layer", kind: "activation", quantizers: { int8: symmetric(8, [1]), int4: symmetric(4, [4]) } },
      { node: "nothing", kind: "weight", quantizers: { int4: symmetric(4, [1]) } },
    ],
    { data: { metric: "psnr", targets: float32([3, 3], Array(9).fill(0)) }, divergence: "squared-error" },
  );
  const scores = await relativeError.score(context);
  // The first row fits steps of 0.5; 2 -> 0 in steps of 4, half to even.
  expect(scores["layer/weight"]!.cost).toEqual({ int8: 12 / 15.5, fp8e5m2: 0 });
  // 0.25 -> 0 in steps of 1; in steps of 4: 3 -> 4, 0.25 -> 0, -1 -> 0, 2 -> 0. All exact in binary.
  expect(scores["layer/activation"]!.cost).toEqual({
    int8: 0.0625 / 14.0625,
    int4: (1 + 0.0625 + 1 + 4) / 14.0625,
  });
  expect(scores["nothing/weight"]!.cost).toEqual({ int4: 0 });
  await context.engine.dispose();
});
