import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { BitwrightError } from "../../../src/errors.js";
import { makeAttribute } from "../../../src/onnx/attributes.js";
import { TensorProto_DataLocation, TensorProtoSchema } from "../../../src/onnx/generated/onnx_pb.js";
import { buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { ifNode } from "../../support/subgraphs.js";
import { float32 } from "../../support/tensors.js";

function refusal(builder: ModelBuilder): BitwrightError {
  try {
    builder.build();
  } catch (error) {
    expect(error).toBeInstanceOf(BitwrightError);
    expect((error as BitwrightError).code).toBe("invalid-model");
    return error as BitwrightError;
  }
  throw new Error("the model was accepted");
}

function reluModel(): ModelBuilder {
  return buildModel(17).input("x", [2]).node("Relu", ["x"], ["y"]).output("y");
}

describe("validateModel", () => {
  it("accepts a sound model, sorted or not", () => {
    reluModel().build();
    buildModel(17).input("x", [2]).node("Neg", ["a"], ["y"]).node("Relu", ["x"], ["a"]).output("y").build();
  });

  it("accepts subgraphs that read outer values", () => {
    const model = buildModel(17).input("x", [2]).input("condition", [], "bool");
    model
      .node("Relu", ["x"], ["a"])
      .add(ifNode("condition", "a", "x", "y"))
      .output("y")
      .build();
  });

  it.each<[string, (model: ModelBuilder) => unknown, RegExp]>([
    ["no graph", (m) => Object.assign(m.proto, { graph: undefined }), /no graph/],
    ["no IR version", (m) => Object.assign(m.proto, { irVersion: 0n }), /IR version/],
    ["no operator set", (m) => Object.assign(m.proto, { opsetImport: [] }), /does not import/],
    ["an operator set twice", (m) => m.opset("ai.onnx", 17), /imported twice/],
    ["operator set version 0", (m) => Object.assign(m.proto.opsetImport[0]!, { version: 0n }), /no usable version/],
    ["an unknown domain", (m) => m.node("Foo", ["x"], ["z"], {}, { domain: "acme" }), /"acme"/],
    ["a missing input", (m) => m.node("Neg", ["nowhere"], ["z"]), /Neg .*"nowhere"/],
    ["a missing output", (m) => m.output("nowhere"), /"nowhere" is computed by nothing/],
    ["a cycle", (m) => m.node("Add", ["x", "b"], ["a"]).node("Neg", ["a"], ["b"]), /cycle/],
    ["a node that reads itself", (m) => m.node("Add", ["x", "a"], ["a"]), /cycle/],
    ["two definitions of a value", (m) => m.node("Neg", ["x"], ["y"]), /"y" is defined twice/],
    ["an output that is an input", (m) => m.node("Neg", ["y"], ["x"]), /"x" is defined twice/],
    ["two inputs of one name", (m) => m.input("x", [2]), /"x" is defined twice/],
    [
      "two initializers of one name",
      (m) => m.constant("w", float32([1], [1])).constant("w", float32([1], [1])),
      /"w" is defined twice/,
    ],
    [
      "a node that lacks an input",
      (m) => m.constant("w", float32([1], [1])).node("Conv", ["x"], ["z"]),
      /Conv .* lacks an input/,
    ],
    ["a node that leaves out an input it needs", (m) => m.node("Add", ["", "x"], ["z"]), /Add .* lacks an input/],
    ["a node without outputs", (m) => m.node("Neg", ["x"], []), /no output/],
    ["a node without operator", (m) => m.node("", ["x"], ["z"]), /no operator type/],
    [
      "an attribute twice",
      (m) => m.graph.node[0]!.attribute.push(makeAttribute("a", 1n), makeAttribute("a", 2n)),
      /given twice/,
    ],
    ["an input without type", (m) => Object.assign(m.graph.input[0]!, { type: undefined }), /no type/],
    ["an impossible input shape", (m) => m.input("big", [2 ** 40, 2 ** 40]), /larger than any memory/],
    [
      "a subgraph that reads an unknown value",
      (m) =>
        m
          .input("condition", [], "bool")
          .add(ifNode("condition", "x", "nowhere", "y"))
          .graph.node.shift(),
      /"nowhere"/,
    ],
    [
      "a cycle through a subgraph",
      (m) =>
        m
          .input("condition", [], "bool")
          .add(ifNode("condition", "x", "z", "y"))
          .node("Neg", ["y"], ["z"])
          .graph.node.shift(),
      /cycle/,
    ],
  ])("refuses %s", (_, breakIt, message) => {
    const model = reluModel();
    breakIt(model);
    expect(refusal(model).message).toMatch(message);
  });

  it.each<[string, Parameters<typeof create<typeof TensorProtoSchema>>[1]]>([
    ["too little raw data", { dataType: 1, dims: [2n], rawData: new Uint8Array(7) }],
    ["too much raw data", { dataType: 1, dims: [2n], rawData: new Uint8Array(12) }],
    ["no data at all", { dataType: 1, dims: [2n] }],
    ["too few typed values", { dataType: 7, dims: [3n], int64Data: [1n] }],
    ["the wrong typed field", { dataType: 1, dims: [1n], int32Data: [1] }],
    ["an unknown type", { dataType: 99, dims: [1n], rawData: new Uint8Array(1) }],
    ["a negative dimension", { dataType: 1, dims: [-1n], floatData: [1] }],
    ["dimensions beyond memory", { dataType: 1, dims: [2n ** 62n, 2n ** 62n] }],
    ["strings as raw data", { dataType: 8, dims: [1n], rawData: new Uint8Array(1) }],
    [
      "external data that was not given",
      {
        dataType: 1,
        dims: [1n],
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: [{ key: "location", value: "weights.bin" }],
      },
    ],
  ])("refuses an initializer with %s", (_, init) => {
    const model = reluModel().constant("w", create(TensorProtoSchema, { name: "w", ...init }));
    expect(refusal(model).where).toMatch(/"w"/);
  });

  it("answers at once on a chain of twenty thousand nodes", () => {
    const model = buildModel(17).input("x0", [2]);
    for (let i = 0; i < 20_000; i++) model.node("Neg", [`x${i}`], [`x${i + 1}`]);
    model.output("x20000").build();
  });
});
