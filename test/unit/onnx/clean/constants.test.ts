import { describe, expect, it } from "vitest";
import type { AttributeValue } from "../../../../src/onnx/attributes.js";
import { makeTensor } from "../../../../src/onnx/initializer.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel } from "../../../support/model-builder.js";
import { ifNode } from "../../../support/subgraphs.js";
import { float32, int64, randomTensor, scalar } from "../../../support/tensors.js";

const flag = { dtype: "bool", dims: [], data: Uint8Array.of(1) } as const;

describe("constant-nodes", () => {
  it("turns every numeric form into an initializer", async () => {
    const forms: [string, AttributeValue][] = [
      ["value", makeTensor("", float32([2], [1, 2]))],
      ["value_float", 0.5],
      ["value_floats", { floats: [3, 4] }],
    ];
    const model = buildModel(17).input("x", [2]);
    forms.forEach(([name, value], i) => {
      model
        .node("Constant", [], [`c${i}`], { [name]: value })
        .node("Mul", [i === 0 ? "x" : `y${i - 1}`, `c${i}`], [`y${i}`]);
    });
    model.node("Constant", [], ["one"], { value_int: 1n }).node("Constant", [], ["shape"], { value_ints: [-1n] });
    model.node("Unsqueeze", ["y2", "shape"], ["u"]).node("Gather", ["u", "zero"], ["y"], { axis: 1n }).output("y");
    model.node("Sub", ["one", "one"], ["zero"]);
    const { ops, graph } = await cleanAndCompare(model, { x: float32([2], [1, -1]) });
    expect(ops).toEqual(["Mul", "Mul", "Mul", "Unsqueeze", "Gather"]);
    expect(graph.constant("c0")).toEqual(float32([2], [1, 2]));
    expect(graph.constant("zero")).toEqual(int64([], [0]));
  });

  it("keeps a constant that is a graph output, and one that a subgraph reads", async () => {
    const model = buildModel(17).input("x", [2]).input("flag", [], "bool");
    model.node("Constant", [], ["c"], { value_floats: { floats: [1, 2] } });
    model.node("Constant", [], ["d"], { value_floats: { floats: [1, 2] } });
    model
      .add(ifNode("flag", "d", "x", "y"))
      .output("y")
      .output("c", [2]);
    const { ops, graph } = await cleanAndCompare(model, { x: float32([2], [1, -1]), flag });
    expect(ops).toEqual(["Constant", "If"]);
    expect(graph.constant("d")).toEqual(float32([2], [1, 2]));
  });
});

describe("fold-constants", () => {
  it("computes the pads that exporters leave as a chain", async () => {
    // What PyTorch writes for F.pad(x, (1, 2, 0, 1)).
    const model = buildModel(17).input("x", ["N", 3, 4, 5]);
    model
      .constant("list", int64([4], [1, 2, 0, 1]))
      .constant("missing", int64([1], [4]))
      .constant("two", int64([2], [-1, 2]));
    model
      .constant("start", int64([1], [-1]))
      .constant("end", int64([1], [-(2 ** 53) + 1]))
      .constant("axis", int64([1], [0]));
    model.constant("flat", int64([1], [-1]));
    model.node("ConstantOfShape", ["missing"], ["zeros"], { value: makeTensor("", int64([1], [0])) });
    model.node("Concat", ["list", "zeros"], ["all"], { axis: 0n }).node("Reshape", ["all", "two"], ["pairs"]);
    model.node("Slice", ["pairs", "start", "end", "axis", "start"], ["reversed"]);
    model
      .node("Transpose", ["reversed"], ["columns"], { perm: [1n, 0n] })
      .node("Reshape", ["columns", "flat"], ["vector"]);
    model.node("Cast", ["vector"], ["pads"], { to: 7n }).node("Pad", ["x", "pads"], ["y"]).output("y");
    const { ops, graph } = await cleanAndCompare(model, { x: randomTensor([2, 3, 4, 5], 1) });
    expect(ops).toEqual(["Pad"]);
    expect(graph.constant("pads")).toEqual(int64([8], [0, 0, 0, 1, 0, 0, 1, 2]));
    expect(graph.proto.initializer).toHaveLength(1);
  });

  it("computes static parts of a shape beside a dynamic batch", async () => {
    const model = buildModel(17)
      .input("x", ["N", 3, 4])
      .constant("two", int64([], [2]))
      .constant("axis", int64([1], [0]));
    model
      .node("Shape", ["x"], ["shape"])
      .node("Gather", ["shape", "two"], ["width"])
      .node("Cast", ["width"], ["w"], { to: 1n });
    model.node("Div", ["x", "w"], ["y"]).output("y");
    const { ops, graph } = await cleanAndCompare(model, { x: randomTensor([2, 3, 4], 1) });
    expect(ops).toEqual(["Div"]);
    expect(graph.constant("w")).toEqual(scalar(4));
  });

  it("moves constant weights, large ones too", async () => {
    const model = buildModel(17)
      .input("x", [1, 300])
      .constant("w", randomTensor([400, 300], 2));
    model
      .node("Transpose", ["w"], ["t"], { perm: [1n, 0n] })
      .node("Identity", ["t"], ["i"])
      .node("MatMul", ["x", "i"], ["y"]);
    const { ops, graph } = await cleanAndCompare(model.output("y"), { x: randomTensor([1, 300], 1) });
    expect(ops).toEqual(["MatMul"]);
    expect(graph.proto.initializer.map(({ dims }) => dims)).toEqual([[300n, 400n]]);
  });

  it("does not let a file grow", async () => {
    const model = buildModel(17)
      .input("x", [1])
      .constant("shape", int64([2], [400, 400]))
      .constant("one", scalar(1));
    model.node("Expand", ["one", "shape"], ["e"]).node("Mul", ["e", "x"], ["y"]).output("y");
    const { ops } = await cleanAndCompare(model, { x: float32([1], [2]) });
    expect(ops).toEqual(["Expand", "Mul"]);
  });

  it("keeps constants whose type cannot be computed with here", async () => {
    const eighth = makeTensor("h", { dtype: "uint8", dims: [2], data: Uint8Array.of(0x38, 0x40) });
    eighth.dataType = 17;
    const model = buildModel(19).input("x", [2]).constant("h", eighth).node("Cast", ["h"], ["c"], { to: 1n });
    const { ops } = await cleanAndCompare(model.node("Mul", ["x", "c"], ["y"]).output("y"), {
      x: float32([2], [1, 2]),
    });
    expect(ops).toEqual(["Cast", "Mul"]);
  });

  it("leaves a default that a caller can override", async () => {
    const model = buildModel(17)
      .input("x", ["N", 2])
      .node("Shape", ["x"], ["s"])
      .node("Cast", ["s"], ["y"], { to: 1n })
      .output("y");
    expect((await cleanAndCompare(model, { x: randomTensor([3, 2], 1) })).ops).toEqual(["Shape", "Cast"]);
  });
});

describe("static-reshape", () => {
  it("gives a dynamic batch the place of 0 and one more open size that of -1", async () => {
    const model = buildModel(17)
      .input("x", ["N", "T", 8])
      .constant("zero", int64([], [0]))
      .constant("one", int64([], [1]));
    model
      .constant("axis", int64([1], [0]))
      .constant("heads", int64([1], [2]))
      .constant("size", int64([1], [4]));
    model.node("Shape", ["x"], ["s"]).node("Gather", ["s", "zero"], ["n"]).node("Gather", ["s", "one"], ["t"]);
    model.node("Unsqueeze", ["n", "axis"], ["n1"]).node("Unsqueeze", ["t", "axis"], ["t1"]);
    model
      .node("Concat", ["n1", "t1", "heads", "size"], ["target"], { axis: 0n })
      .node("Reshape", ["x", "target"], ["r"]);
    model.node("Transpose", ["r"], ["h"], { perm: [0n, 2n, 1n, 3n] });
    model
      .node("Concat", ["n1", "heads", "t1", "size"], ["again"], { axis: 0n })
      .node("Reshape", ["h", "again"], ["y"])
      .output("y");
    const { ops, graph } = await cleanAndCompare(model, { x: randomTensor([3, 5, 8], 1) });
    // The second one turns out to keep the shape.
    expect(ops).toEqual(["Reshape", "Transpose"]);
    expect(graph.constant(graph.nodes[0]!.input[1]!)).toEqual(int64([4], [0, 0, 2, 4]));
  });

  it("leaves two open sizes to the run", async () => {
    const model = buildModel(17)
      .input("x", ["N", "T"])
      .constant("zero", int64([1], [0]))
      .constant("one", int64([1], [1]));
    model.node("Shape", ["x"], ["s"]).node("Gather", ["s", "one"], ["t"]).node("Gather", ["s", "zero"], ["n"]);
    model.node("Concat", ["t", "n"], ["target"], { axis: 0n }).node("Reshape", ["x", "target"], ["y"]).output("y");
    expect((await cleanAndCompare(model, { x: randomTensor([3, 5], 1) })).ops).toContain("Shape");
  });
});
