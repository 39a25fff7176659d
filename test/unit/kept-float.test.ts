import { expect, it } from "vitest";
import { ortCpu } from "../../src/export/targets/ort-cpu.js";
import type { LayerChoice } from "../../src/formats.js";
import { keptFloat } from "../../src/kept-float.js";
import { passedOver } from "../../src/passed-over.js";
import { buildModel } from "../support/model-builder.js";
import { int64, randomTensor } from "../support/tensors.js";

const model = buildModel(17)
  .input("words", [4], "int64")
  .input("free", [40, 40])
  .constant("table", randomTensor([50, 40], 1))
  .constant("w", randomTensor([40, 40], 2))
  .constant("b", randomTensor([40], 3))
  .constant("scale", randomTensor([40], 4))
  .constant("shift", randomTensor([40], 5))
  .constant("left", randomTensor([400, 4], 6))
  .constant("factors", randomTensor([400, 40], 7))
  .constant("free", randomTensor([40, 40], 8))
  .constant("axes", int64([1], [0]))
  .node("Gather", ["table", "words"], ["rows"], {}, { name: "embed" })
  .node("MatMul", ["rows", "w"], ["p"], {}, { name: "product" })
  .node("Add", ["p", "b"], ["s"], {}, { name: "sum" })
  .node("LayerNormalization", ["s", "scale", "shift"], ["n"], {}, { name: "norm" })
  .node("MatMul", ["left", "n"], ["l"], {}, { name: "from the left" })
  .node("Mul", ["l", "factors"], ["m"], {}, { name: "multiply" })
  .node("Gemm", ["m", "m"], ["g"], {}, { name: "gram" })
  .node("MatMul", ["g", "free"], ["y"], {}, { name: "overridable" })
  .output("y")
  .build();
const layers = ortCpu.layers(model);

function reasons(choices?: ReadonlyMap<string, LayerChoice>) {
  return Object.fromEntries(keptFloat(model, layers, choices).map(({ reason, bytes }) => [reason, bytes]));
}

const always = {
  biases: 160,
  "parameters of LayerNormalization": 320,
  "multiplied from the left": 6400,
  "read by Mul": 64000,
  "inputs may replace them": 6400,
};

it("counts the bytes that stay float whatever is chosen, by the reason", () => {
  expect(reasons()).toEqual(always);
});

it("counts those for which float was chosen", () => {
  const int8: LayerChoice = { weight: "int8", activation: "float" };
  const { "weights for which float was chosen": chosen } = reasons(new Map([["embed", int8]]));
  expect(chosen).toBe(6400);
  expect(reasons(new Map(["embed", "product"].map((node) => [node, int8])))).toEqual(reasons());
});

it("adds up to the floats that the model stores", () => {
  const stored = model.graph.initializer.filter(({ name }) => name !== "axes");
  const bytes = stored.reduce((sum, { rawData }) => sum + rawData.length, 0);
  const kept = keptFloat(model, layers, new Map());
  expect(kept.reduce((sum, group) => sum + group.bytes, 0)).toBe(bytes);
  expect(kept.reduce((sum, group) => sum + group.tensors, 0)).toBe(stored.length);
});

it("says why nodes that multiply are no layers", () => {
  expect(passedOver(model, layers)).toEqual([
    { op: "MatMul", reason: "the stored operand comes first", nodes: ["from the left"] },
    { op: "Gemm", reason: "the weight is computed at run time", nodes: ["gram"] },
    { op: "MatMul", reason: "the weight is computed at run time", nodes: ["overridable"] },
  ]);
});
