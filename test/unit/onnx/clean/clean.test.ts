import { describe, expect, it } from "vitest";
import { cleanModel } from "../../../../src/onnx/clean/index.js";
import { writeModel } from "../../../../src/onnx/model.js";
import { everyNode } from "../../../../src/onnx/traverse.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel } from "../../../support/model-builder.js";
import { runOnnx } from "../../../support/onnxruntime.js";
import { ifNode } from "../../../support/subgraphs.js";
import { float32, randomTensor } from "../../../support/tensors.js";

/** Conv -> BatchNormalization -> Relu -> Clip -> mean, as an exporter would leave it. */
function messyModel() {
  const model = buildModel(17)
    .input("x", ["N", 3, 8, 8])
    .constant("w", randomTensor([4, 3, 3, 3], 2))
    .constant("unused", float32([1], [1]));
  for (const name of ["scale", "shift", "mean", "var"]) model.constant(name, randomTensor([4], 3, 0.5, 1));
  model.node("Conv", ["x", "w"], ["c"]).node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["b"]);
  model.node("Constant", [], ["low"], { value_float: 0 }).node("Constant", [], ["high"], { value_float: 6 });
  model.node("Relu", ["b"], ["r"]).node("Clip", ["r", "low", "high"], ["k"]).node("Neg", ["k"], ["dead"]);
  return model
    .node("ReduceMean", ["k"], ["y"], { axes: [2n, 3n], keepdims: 0n })
    .output("y")
    .valueInfo("b", ["N", 4, 6, 6]);
}

const x = randomTensor([2, 3, 8, 8], 1);

describe("cleanModel", () => {
  it("brings a model to what engines fuse, and tells every step", async () => {
    const { ops, changes, model } = await cleanAndCompare(messyModel(), { x });
    expect(ops).toEqual(["Conv", "Clip", "GlobalAveragePool", "Flatten"]);
    expect(changes.map(({ pass }) => pass)).toEqual([
      "constant-nodes",
      "constant-nodes",
      "fold-batch-normalization",
      "merge-activations",
      "global-average-pool",
      "dead-code",
      "dead-code",
    ]);
    expect(changes[2]).toEqual({
      pass: "fold-batch-normalization",
      nodes: ["BatchNormalization_1", "Conv_0"],
      explanation: "folded into the weight and bias of Conv Conv_0",
    });
    expect(changes.find(({ pass }) => pass === "dead-code")!.nodes).toEqual(["Relu_4", "Neg_6"]);
    expect(model.graph.valueInfo).toEqual([]);
    expect(model.graph.initializer.map(({ name }) => name).sort()).toEqual(["Conv_0_bias", "high", "low", "w"]);
  });

  it("leaves the given model as it is, and a clean model too", () => {
    const model = messyModel().build();
    const before = writeModel(model);
    const cleaned = cleanModel(model);
    expect(writeModel(model)).toEqual(before);
    const again = cleanModel(cleaned.model);
    expect(again.changes).toEqual([]);
    expect(writeModel(again.model)).toEqual(writeModel(cleaned.model));
  });

  it("keeps what it does not know", () => {
    const model = buildModel(17)
      .opset("acme", 1)
      .input("x", [2])
      .node("Identity", ["x"], ["y"], {}, { domain: "acme" });
    model.node("Reshape", ["y", "s"], ["z"], {}, { domain: "acme" }).input("s", [1], "int64").output("z");
    const { changes } = cleanModel(model.build());
    expect(changes).toEqual([]);
  });

  it("names every node, in subgraphs too, and once only", async () => {
    // onnxruntime refuses a file with two nodes of one name, so that only the result can be run.
    const model = buildModel(17).input("x", [2]).input("flag", [], "bool");
    model.node("Neg", ["x"], ["a"], {}, { name: "" }).node("Abs", ["a"], ["b"], {}, { name: "same" });
    model
      .node("Relu", ["b"], ["c"], {}, { name: "same" })
      .add(ifNode("flag", "c", "x", "y"))
      .output("y");
    for (const node of everyNode(model.graph)) if (node.name.startsWith("y_")) node.name = "same";
    const flag = { dtype: "bool", dims: [], data: Uint8Array.of(0) } as const;
    const cleaned = cleanModel(model.build());
    const { y } = await runOnnx(writeModel(cleaned.model), { x: float32([2], [1, -2]), flag });
    expect(y).toEqual(float32([2], [1, 2]));
    const names = [...everyNode(cleaned.model.graph)].map(({ name }) => name);
    expect(new Set(names).size).toBe(6);
    expect(names).not.toContain("");
    expect(names.slice(0, 3)).toEqual(["Neg_a", "same", "same_1"]);
  });

  it("makes constants of inputs with a default, as IR version 3 lists them", async () => {
    const model = buildModel(8, 3)
      .input("x", [1, 3, 8, 8])
      .input("w", [4, 3, 3, 3])
      .constant("w", randomTensor([4, 3, 3, 3], 2));
    model.node("Conv", ["x", "w"], ["y"]).output("y");
    const { model: cleaned, changes } = await cleanAndCompare(model, { x: randomTensor([1, 3, 8, 8], 1) });
    expect(cleaned.graph.input.map(({ name }) => name)).toEqual(["x"]);
    expect(cleaned.proto.irVersion).toBe(4n);
    expect(changes).toHaveLength(1);
  });

  it("drops what nothing needs, but not what a subgraph reads", async () => {
    const model = buildModel(17)
      .input("x", [2])
      .input("flag", [], "bool")
      .constant("k", float32([2], [3, 4]));
    model
      .node("Neg", ["x"], ["a"])
      .node("Abs", ["a"], ["b"])
      .node("Exp", ["b"], ["unread"])
      .node("Add", ["a", "k"], ["c"]);
    const flag = { dtype: "bool", dims: [], data: Uint8Array.of(1) } as const;
    const { ops } = await cleanAndCompare(model.add(ifNode("flag", "c", "x", "y")).output("y"), {
      x: float32([2], [1, -2]),
      flag,
    });
    expect(ops).toEqual(["Neg", "Add", "If"]);
  });

  it("puts nodes in order", async () => {
    const model = buildModel(17).input("x", [2]).node("Neg", ["a"], ["y"]).node("Abs", ["x"], ["a"]).output("y");
    expect((await cleanAndCompare(model, { x: float32([2], [1, -2]) })).ops).toEqual(["Abs", "Neg"]);
  });
});
