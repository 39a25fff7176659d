import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  TensorProto_DataType as Code,
  GraphProtoSchema,
  TensorProtoSchema,
} from "../../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../../src/onnx/initializer.js";
import { encodeProgram } from "../../../src/onnx/program.js";
import { buildModel } from "../../support/model-builder.js";
import { type DecodedTensor, decodeProgram } from "../../support/program-decoder.js";
import { float32, int64, randomTensor } from "../../support/tensors.js";

function floats({ data }: DecodedTensor): number[] {
  return [...new Float32Array(data.slice().buffer)];
}

describe("encodeProgram", () => {
  it("carries opsets, values, nodes and initializers", () => {
    const weight = randomTensor([4, 3, 3, 3], 3);
    const model = buildModel(17)
      .opset("com.microsoft", 1)
      .input("x", ["N", 3, null, 8])
      .constant("w", weight)
      .node("Relu", ["c"], ["y"], {}, { name: "late", domain: "ai.onnx" })
      .node("Conv", ["x", "w", ""], ["c"], { group: 1n }, { name: "conv" })
      .node("Clip", ["c", "", "w"], ["z"], {}, { name: "clip" })
      .output("y", ["N", 4, 6, 6])
      .build();
    const { program, tensors, nodes } = encodeProgram(model);
    const decoded = decodeProgram(program);
    expect(decoded.opsets).toEqual({ "": 17, "com.microsoft": 1 });
    expect(tensors).toEqual(["x", "w", "c", "y", "z"]);
    expect(decoded.values).toEqual([
      { name: "x", flags: 1, dataType: Code.FLOAT, dims: [-1, 3, -1, 8] },
      { name: "w", flags: 4, dataType: Code.FLOAT, dims: [4, 3, 3, 3] },
      { name: "c", flags: 0, dataType: 0, dims: undefined },
      { name: "y", flags: 2, dataType: Code.FLOAT, dims: [-1, 4, 6, 6] },
      { name: "z", flags: 0, dataType: 0, dims: undefined },
    ]);
    expect(nodes).toEqual(["conv", "late", "clip"]);
    expect(decoded.nodes.map(({ attributes, ...node }) => node)).toEqual([
      { name: "conv", domain: "", opType: "Conv", inputs: [0, 1, -1], outputs: [2] },
      { name: "late", domain: "", opType: "Relu", inputs: [2], outputs: [3] },
      { name: "clip", domain: "", opType: "Clip", inputs: [2, -1, 1], outputs: [4] },
    ]);
    const [w] = decoded.initializers;
    expect(w).toMatchObject({ value: 1, dataType: Code.FLOAT, dims: [4, 3, 3, 3] });
    expect(w!.offset % 64).toBe(0);
    expect(floats(w!)).toEqual([...(weight.data as Float32Array)]);
  });

  it("carries attributes of every kind", () => {
    const model = buildModel(17).input("x", [2]);
    model.node("Foo", ["x"], ["y"], {
      int: -(2n ** 40n),
      float: 0.5,
      string: "äb",
      ints: [1n, -2n],
      floats: { floats: [0.25] },
      tensor: makeTensor("", float32([3], [1, 2, 3])),
    });
    const extra = [
      { name: "strings", type: AttributeProto_AttributeType.STRINGS, strings: ["a", ""].map((s) => Buffer.from(s)) },
      { name: "graph", type: AttributeProto_AttributeType.GRAPH, g: create(GraphProtoSchema) },
    ];
    for (const init of extra) model.graph.node[0]!.attribute.push(create(AttributeProtoSchema, init));
    const { attributes } = decodeProgram(encodeProgram(model.output("y").build()).program).nodes[0]!;
    const { tensor, ...plain } = attributes;
    expect(plain).toEqual({
      int: { kind: 1, value: -(2 ** 40) },
      float: { kind: 2, value: 0.5 },
      string: { kind: 3, value: "äb" },
      ints: { kind: 4, value: [1, -2] },
      floats: { kind: 5, value: [0.25] },
      strings: { kind: 6, value: ["a", ""] },
      graph: { kind: 8, value: undefined },
    });
    expect(tensor).toMatchObject({ kind: 7, value: { dataType: Code.FLOAT, dims: [3] } });
    const stored = tensor!.value as DecodedTensor;
    expect(stored.offset % 8).toBe(0);
    expect(floats(stored)).toEqual([1, 2, 3]);
  });

  it("widens half floats and reads typed fields", () => {
    const model = buildModel(17)
      .input("x", [2])
      .constant(
        "half",
        create(TensorProtoSchema, { name: "half", dataType: Code.FLOAT16, dims: [2n], int32Data: [0x3c00, 0xc000] }),
      )
      .constant(
        "typed",
        create(TensorProtoSchema, { name: "typed", dataType: Code.INT64, dims: [2n], int64Data: [7n, -7n] }),
      )
      .constant("bytes", { dtype: "uint8", dims: [3], data: Uint8Array.of(1, 2, 3) })
      .constant("none", float32([0], []))
      .node("Relu", ["x"], ["y"])
      .output("y");
    const { values, initializers } = decodeProgram(encodeProgram(model.build()).program);
    const [half, typed, bytes, none] = initializers;
    expect(values[half!.value]).toMatchObject({ name: "half", dataType: Code.FLOAT });
    expect(half!.dataType).toBe(Code.FLOAT);
    expect(floats(half!)).toEqual([1, -2]);
    expect([...new BigInt64Array(typed!.data.slice().buffer)]).toEqual([7n, -7n]);
    expect([...bytes!.data]).toEqual([1, 2, 3]);
    expect(none).toMatchObject({ dims: [0], data: new Uint8Array(0) });
  });

  it("makes a default of an input a plain constant", () => {
    const model = buildModel(17)
      .input("x", [1])
      .input("w", [1])
      .constant("w", float32([1], [2]));
    const { values } = decodeProgram(encodeProgram(model.node("Mul", ["x", "w"], ["y"]).output("y").build()).program);
    expect(values.map(({ name, flags }) => [name, flags])).toEqual([
      ["x", 1],
      ["w", 4],
      ["y", 2],
    ]);
  });

  it("names every tensor whose type the engine does not know", () => {
    const int4 = makeTensor("codes", { dtype: "int8", dims: [2], data: Int8Array.of(1, 2) }, Code.INT4);
    const model = buildModel(21).input("x", [1]).constant("codes", int4);
    model.node("Constant", [], ["text"], { value: create(TensorProtoSchema, { dataType: Code.STRING, dims: [0n] }) });
    model
      .node("Relu", ["x"], ["y"])
      .constant("shape", int64([1], [1]))
      .output("y");
    expect(() => encodeProgram(model.build())).toThrowError(
      /2 tensors .*"codes" \(int4\), attribute "value" of Constant "Constant_0" \(string\)/,
    );
  });
});
