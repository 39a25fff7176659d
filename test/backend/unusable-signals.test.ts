import { expect, it } from "vitest";
import { EngineModel } from "../../src/evaluate/engine-model.js";
import type { AttributeValue } from "../../src/onnx/attributes.js";
import type { Tensor } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { int64, randomTensor } from "../support/tensors.js";

const picture = randomTensor([1, 2, 4, 4], 1);
const regions = randomTensor([1, 4], 2);
const volume = randomTensor([1, 1, 3, 3, 3], 3);

/** What operators on signals, regions and sequences refuse: the operator, its inputs, its attributes, and what is said. */
const refusals: [string, Tensor[], Record<string, AttributeValue>, RegExp][] = [
  ["GridSample", [picture, randomTensor([1, 3, 3, 2], 4)], { mode: "sinc" }, /mode 'sinc' is not supported/],
  ["GridSample", [picture, randomTensor([1, 3, 3, 2], 4)], { padding_mode: "wrap" }, /padding_mode 'wrap'/],
  ["GridSample", [picture, randomTensor([1, 3, 3, 3], 4)], {}, /does not take a grid of shape \[1,3,3,3\]/],
  ["GridSample", [volume, randomTensor([1, 2, 2, 2, 3], 4)], { mode: "cubic" }, /takes pictures/],
  ["RoiAlign", [picture, regions, int64([1], [0])], { mode: "max" }, /mode 'max' is not supported/],
  ["RoiAlign", [picture, regions, int64([1], [1])], {}, /an image that is not there/],
  ["RoiAlign", [picture, regions, int64([2], [0, 0])], {}, /does not take regions/],
  ["NonMaxSuppression", [randomTensor([1, 3, 4], 5), randomTensor([1, 1, 2], 6)], {}, /does not take boxes/],
  ["DFT", [randomTensor([2, 8, 3], 7)], {}, /real and, if any, imaginary parts/],
  ["DFT", [randomTensor([2, 8, 2], 7)], { onesided: 1n }, /a one-sided transform takes real signals/],
  ["STFT", [randomTensor([1, 8, 1], 7), int64([], [2]), randomTensor([9], 8)], {}, /STFT with frames of 9 elements/],
  ["ReverseSequence", [randomTensor([4, 2], 9), int64([2], [5, 1])], {}, /a sequence of 5 elements does not fit 4/],
  ["TensorScatter", [randomTensor([1, 4, 2], 9), randomTensor([1, 2, 2], 9), int64([1], [3])], {}, /beyond its cache/],
  ["BitwiseAnd", [randomTensor([2], 9), randomTensor([2], 9)], {}, /expected integers of one type/],
];

it.each(refusals)("%s refuses what it cannot compute", async (op, inputs, attributes, text) => {
  const model = buildModel(24);
  for (const [i, tensor] of inputs.entries()) model.constant(`x${i}`, tensor);
  model.input("batch", [1]).node(
    op,
    inputs.map((_, i) => `x${i}`),
    ["y"],
    attributes,
    { name: "node" },
  );
  const engine = await EngineModel.create(backend, model.output("y", []).build());
  try {
    const run = engine.run({ batch: randomTensor([1], 1) });
    await expect(run).rejects.toMatchObject({ code: expect.stringMatching(/^(invalid-model|unsupported-op)$/) });
    await expect(run).rejects.toThrow(text);
  } finally {
    await engine.dispose();
  }
});
