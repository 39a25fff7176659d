import { expect, it } from "vitest";
import { measureBiasShifts } from "../../../src/calibrate/bias-correction.js";
import { datasetFrom } from "../../../src/data/from-feeds.js";
import { resolveOptions } from "../../../src/options.js";
import type { TensorOf } from "../../../src/tensor.js";
import { openWorkspace } from "../../../src/workspace.js";
import { backend } from "../../support/backends.js";
import { buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomTensor } from "../../support/tensors.js";

const samples = 10;
const x = randomTensor([samples, 4, 7], 1, 0, 1);

/** A network of one layer with 6 output channels, whose weight is as given. */
function layerOf(op: string, group: number, weight: TensorOf<"float32">): ModelBuilder {
  return buildModel(17)
    .input("x", ["N", 4, 7])
    .constant("w", weight)
    .constant("b", randomTensor([6], 3))
    .node(op, ["x", "w", "b"], ["y"], { pads: [1n, 1n], group: BigInt(group) }, { name: "layer" })
    .output("y");
}

it.each([
  ["Conv", 1, [6, 4, 3]],
  ["Conv", 2, [6, 2, 3]],
  ["ConvTranspose", 1, [4, 6, 3]],
  ["ConvTranspose", 2, [4, 3, 3]],
] as const)("%s of %d groups: shifts are what rounding moves the means of the outputs by", async (op, group, dims) => {
  const weight = randomTensor(dims, 2) as TensorOf<"float32">;
  const rounded = weight.data.map((value) => Math.round(4 * value) / 4);
  const dataset = await datasetFrom(
    { x },
    { splits: { calibration: [0, samples - 1], search: [samples - 1, samples] } },
  );
  await using workspace = await openWorkspace(backend, layerOf(op, group, weight).build(), dataset, resolveOptions({}));
  const indices = Uint32Array.from({ length: samples }, (_, i) => i);
  const options = { ...workspace, samples: indices, batchSize: 4, rounded: async () => rounded };
  const { layer: shifts } = await measureBiasShifts(options);
  const means = async (w: TensorOf<"float32">) => {
    const { y } = await runOnnx(layerOf(op, group, w).bytes(), { x });
    const sums = new Float64Array(6);
    const { data, dims: shape } = y as TensorOf<"float32">;
    for (const [i, value] of data.entries()) sums[Math.floor(i / shape[2]!) % 6]! += value / (samples * shape[2]!);
    return sums;
  };
  const [before, after] = [await means(weight), await means({ ...weight, data: rounded })];
  expect(shifts!.int8).toHaveLength(6);
  for (const [channel, shift] of shifts!.int8!.entries()) {
    expect(shift).not.toBe(0);
    expect(shift).toBeCloseTo(after[channel]! - before[channel]!, 5);
  }
});
