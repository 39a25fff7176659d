import { expect, it } from "vitest";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { type Format, formats, type WeightFormat } from "../../../src/formats.js";
import { writeModel } from "../../../src/onnx/model.js";
import { roundTo } from "../../../src/round-to.js";
import type { TensorOf } from "../../../src/tensor.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, randomTensor } from "../../support/tensors.js";

const weightFormats = (Object.keys(formats) as Format[]).filter((format): format is WeightFormat => format !== "float");

it.each(weightFormats)("%s gives the weight that onnxruntime multiplies by, bit for bit", async (weight) => {
  const size = 272;
  const values = randomTensor([size, size], 1, -0.7, 0.9) as TensorOf<"float32">;
  // A channel of zeros, a block of one sign, and small weights among large ones.
  for (let row = 0; row < size; row++) values.data[row * size] = 0;
  for (let row = 0; row < 32; row++) values.data[row * size + 1] = 0.5 + row / 100;
  for (let row = 0; row < size; row += 3) values.data[row * size + 2]! *= 1e-6;
  const model = buildModel(17)
    .input("x", [size, size])
    .constant("w", values)
    .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
    .output("y")
    .build();
  const layout = ortCpu.layout(model, new Map([["product", { weight, activation: "float" }]]), new Map());
  const identity = float32([size, size], new Float32Array(size * size));
  for (let i = 0; i < size; i++) identity.data[i * size + i] = 1;
  const exported = writeModel(exportModel(model, layout));
  const { y } = await runOnnx(exported, { x: identity }, { optimization: "all" });
  const rounded = await roundTo(backend, values.data, [size, size], layout.weights[0]!.quantizer);
  // Sums lose the sign of zeros.
  expect(rounded.map((value) => value + 0)).toEqual((y!.data as Float32Array).map((value) => value + 0));
});
