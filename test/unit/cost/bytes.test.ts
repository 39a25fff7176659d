import { expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { choiceKey } from "../../../src/formats.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";
import { conv, gemm, unary } from "../export/networks.js";

const convolution = () => {
  const model = buildModel(17).input("x", ["N", 3, 8, 8]);
  return model.output(conv(model, "layer", "x", [5, 3, 3])).build();
};
const product = () => {
  const model = buildModel(17).input("x", ["N", 200]);
  return model.output(gemm(model, "layer", "x", 7, 200)).build();
};
const unbiased = () => {
  const model = buildModel(17)
    .input("x", ["N", 200])
    .constant("w", randomTensor([200, 7], 1));
  return model.output(unary(model, "MatMul", "layer", ["x", "w"])).build();
};

it.each([
  ["convolution", convolution],
  ["product", product],
  ["unbiased product", unbiased],
])("counts what the file holds for a %s in every choice", (_, build) => {
  const model = build();
  const layer = ortCpu.layers(model)[0]!;
  const ranges = new Map(ortCpu.observedTensors(model).map((tensor) => [tensor, { min: -1, max: 1 }]));
  expect(layer.choices.length).toBeGreaterThan(5);
  for (const choice of layer.choices) {
    const { graph } = exportModel(model, ortCpu.layout(model, new Map([[layer.node, choice]]), ranges));
    // Scalars are the grids of activations; zero points are the layers' common property.
    const own = graph.initializer.filter(({ name, dims }) => dims.length > 0 && !name.startsWith("zero_point"));
    const bytes = own.reduce((sum, { rawData }) => sum + rawData.length, 0);
    expect(layerBytes(layer, choice), choiceKey(choice)).toBe(bytes);
  }
});
