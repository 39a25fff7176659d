import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { findLayers } from "../../../../src/export/layers.js";
import { narrowFloats } from "../../../../src/export/narrow-floats.js";
import { openSession } from "../../../../src/export/session-node.js";
import { cleanModel } from "../../../../src/onnx/clean/index.js";
import {
  TensorProto_DataType as Code,
  type TensorProto,
  TensorProtoSchema,
} from "../../../../src/onnx/generated/onnx_pb.js";
import { Graph } from "../../../../src/onnx/graph.js";
import { type OnnxModel, writeModel } from "../../../../src/onnx/model.js";
import { makeNode } from "../../../../src/onnx/node.js";
import { buildModel, type ModelBuilder, valueInfo } from "../../../support/model-builder.js";
import { ifNode } from "../../../support/subgraphs.js";
import { randomFloats, randomTensor } from "../../../support/tensors.js";

function half(name: string, dims: readonly number[], seed: number): TensorProto {
  const { buffer } = narrowFloats(
    randomFloats(
      dims.reduce((a, b) => a * b, 1),
      seed,
    ),
    "fp16",
  );
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: Code.FLOAT16,
    rawData: new Uint8Array(buffer),
  });
}

/** x -> MatMul -> Add(1) -> Softmax -> y, all in halves. */
function halves(): ModelBuilder {
  const model = buildModel(17)
    .input("x", ["N", 8])
    .constant("w", half("w", [8, 4], 1));
  model.node("Constant", [], ["one"], { value: half("", [4], 2) });
  model
    .node("MatMul", ["x", "w"], ["p"])
    .node("Add", ["p", "one"], ["s"])
    .node("Softmax", ["s"], ["y"])
    .output("y", ["N", 4]);
  return inHalves(model);
}

function inHalves(model: ModelBuilder): ModelBuilder {
  for (const { type } of [...model.graph.input, ...model.graph.output]) {
    if (type?.value.case === "tensorType") type.value.value.elemType = Code.FLOAT16;
  }
  return model;
}

const types = (values: OnnxModel["graph"]["input"]) =>
  values.map(({ type }) => (type?.value.case === "tensorType" ? type.value.value.elemType : 0));

async function outputs(bytes: Uint8Array): Promise<Float32Array> {
  const session = await openSession(bytes);
  const { y } = await session.run({ x: randomTensor([3, 8], 3) });
  await session.release();
  return y!.data as Float32Array;
}

describe("widen-halves", () => {
  it("makes layers of products in halves, behind the same inputs and outputs", async () => {
    const original = halves().build();
    const { model, changes } = cleanModel(original);
    expect(findLayers(new Graph(original))).toEqual([]);
    expect(findLayers(new Graph(model)).map(({ op }) => op)).toEqual(["MatMul"]);
    expect(changes.filter(({ pass }) => pass === "widen-halves")).toHaveLength(1);
    expect(model.graph.node.map((node) => node.opType)).toEqual(["Cast", "MatMul", "Add", "Softmax", "Cast"]);
    expect([types(model.graph.input), types(model.graph.output)]).toEqual([[Code.FLOAT16], [Code.FLOAT16]]);
    const [before, after] = [await outputs(writeModel(original)), await outputs(writeModel(model))];
    expect(before).toHaveLength(12);
    // What halves round to on the way: 11 bits.
    for (const [i, value] of before.entries()) expect(Math.abs(after[i]! - value)).toBeLessThan(2e-3);
  });

  it("takes the Casts of weights that are only stored in halves away", () => {
    const model = buildModel(17)
      .input("x", ["N", 8])
      .constant("w", half("w", [8, 4], 1));
    model.node("Cast", ["w"], ["wide"], { to: 1n }).node("MatMul", ["x", "wide"], ["y"]).output("y");
    const cleaned = cleanModel(model.build()).model;
    expect(cleaned.graph.node.map((node) => node.opType)).toEqual(["MatMul"]);
    expect(findLayers(new Graph(cleaned))).toHaveLength(1);
  });

  it("widens what is rounded to halves in between", () => {
    const model = buildModel(17)
      .input("x", ["N", 8])
      .node("Cast", ["x"], ["h"], { to: 10n })
      .constant("w", half("w", [8, 4], 1));
    model.node("MatMul", ["h", "w"], ["p"]).node("Cast", ["p"], ["y"], { to: 1n }).output("y");
    expect(cleanModel(model.build()).model.graph.node.map((node) => node.opType)).toEqual(["MatMul"]);
  });

  it("widens what a branch notes of its values, which the graph takes over with it", async () => {
    const branch = ifNode("c", "x", "x", "b");
    for (const { g } of branch.attribute) {
      const { output } = g!.node[0]!;
      g!.node.push(makeNode({ opType: "Relu", name: `${output[0]}_relu`, inputs: ["inner"], outputs: [...output] }));
      g!.node[0]!.output = ["inner"];
      g!.valueInfo.push(valueInfo("inner", ["N", 8], "float32"));
      for (const { type } of [...g!.valueInfo, ...g!.output]) {
        if (type?.value.case === "tensorType") type.value.value.elemType = Code.FLOAT16;
      }
    }
    const condition = { dtype: "bool", dims: [], data: Uint8Array.of(1) } as const;
    const model = buildModel(17).input("x", ["N", 8]).constant("c", condition).add(branch);
    const original = inHalves(model.node("Exp", ["b"], ["y"]).output("y", ["N", 8])).build();
    const cleaned = cleanModel(original).model;
    expect(cleaned.graph.node.map((node) => node.opType)).toEqual(["Cast", "Neg", "Relu", "Exp", "Cast"]);
    const [before, after] = [await outputs(writeModel(original)), await outputs(writeModel(cleaned))];
    for (const [i, value] of before.entries()) expect(Math.abs(after[i]! - value)).toBeLessThan(2e-3);
  });
});
