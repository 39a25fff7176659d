import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { cleanModel } from "../../../../src/onnx/clean/index.js";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type NodeProto,
} from "../../../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../../../src/onnx/initializer.js";
import { readModel, writeModel } from "../../../../src/onnx/model.js";
import { makeNode } from "../../../../src/onnx/node.js";
import type { Feeds, Tensor } from "../../../../src/tensor.js";
import { cleanAndCompare, expectSameOutputs } from "../../../support/clean-oracle.js";
import { buildModel, valueInfo } from "../../../support/model-builder.js";
import { runOnnx } from "../../../support/onnxruntime.js";
import { ifNode } from "../../../support/subgraphs.js";
import { float32, int64, randomTensor } from "../../../support/tensors.js";

const x = randomTensor([2, 3], 1);
const bool = (value: boolean): Tensor => ({ dtype: "bool", dims: [], data: Uint8Array.of(value ? 1 : 0) });
const rate = (value: number): Tensor => ({ dtype: "int64", dims: [], data: BigInt64Array.of(BigInt(value)) });

interface Branch {
  readonly nodes: readonly NodeProto[];
  readonly outputs: readonly string[];
  readonly constants?: Readonly<Record<string, Tensor>>;
}

const node = (opType: string, inputs: readonly string[], outputs: readonly string[]) =>
  makeNode({ opType, name: `${opType}_${outputs[0]}`, inputs, outputs });

function branching(condition: string, outputs: readonly string[], then: Branch, otherwise: Branch): NodeProto {
  const result = makeNode({ opType: "If", name: `if_${outputs[0]}`, inputs: [condition], outputs });
  for (const [name, branch] of [
    ["then_branch", then],
    ["else_branch", otherwise],
  ] as const) {
    const g = create(GraphProtoSchema, {
      name,
      node: [...branch.nodes],
      initializer: Object.entries(branch.constants ?? {}).map(([key, tensor]) => makeTensor(key, tensor)),
      output: branch.outputs.map((output) => valueInfo(output, undefined, "float32")),
    });
    result.attribute.push(create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g }));
  }
  return result;
}

it.each([true, false])("takes the branch of a condition that is always %s", async (value) => {
  const model = buildModel(17)
    .input("x", ["N", 3])
    .constant("c", bool(value))
    .node("Relu", ["x"], ["a"])
    .add(ifNode("c", "a", "x", "b"))
    .node("Exp", ["b"], ["y"])
    .output("y");
  const { ops } = await cleanAndCompare(model, { x });
  expect(ops).toEqual(value ? ["Relu", "Neg", "Exp"] : ["Abs", "Exp"]);
});

it("keeps apart names that both branches, the graph and other branches have", async () => {
  const shift = (by: number): Branch => ({
    nodes: [node("Add", ["x", "w"], ["t"]), node("Sub", ["t", "w"], ["u"]), node("Mul", ["u", "t"], ["v"])],
    outputs: ["v", "u"],
    constants: { w: float32([3], [by, by + 1, by + 2]) },
  });
  const model = buildModel(17)
    .input("x", ["N", 3])
    .constant("yes", bool(true))
    .constant("no", bool(false))
    .add(branching("yes", ["p", "q"], shift(1), shift(2)))
    .add(branching("no", ["s", "t1"], shift(3), shift(4)))
    .node("Sum", ["p", "q", "s", "t1"], ["y"])
    .output("y");
  expect((await cleanAndCompare(model, { x })).ops).not.toContain("If");
});

it("takes branches inside branches, and outputs that are constants", async () => {
  const inner = branching(
    "c",
    ["t"],
    { nodes: [node("Neg", ["a"], ["n"])], outputs: ["n"] },
    { nodes: [node("Abs", ["a"], ["m"])], outputs: ["m"] },
  );
  const outer: Branch = { nodes: [inner], outputs: ["t", "k"], constants: { k: float32([3], [1, 2, 3]) } };
  const other: Branch = { nodes: [node("Relu", ["a"], ["z"])], outputs: ["z", "z"] };
  const model = buildModel(17)
    .input("x", ["N", 3])
    .constant("c", bool(true))
    .node("Exp", ["x"], ["a"])
    .add(branching("c", ["p", "r"], outer, other))
    .node("Sum", ["p", "r"], ["y"])
    .output("y")
    .output("r");
  expect((await cleanAndCompare(model, { x })).ops).not.toContain("If");
});

/** y depends on the rate: Neg for 16000, Abs for others. */
const rated = () =>
  buildModel(17)
    .input("x", ["N", 3])
    .input("sr", [], "int64")
    .constant("k", int64([], [16000]))
    .node("Equal", ["sr", "k"], ["c"])
    .add(ifNode("c", "x", "x", "y"))
    .output("y", ["N", 3]);

it.each([
  [16000, "Neg", "then_branch"],
  [8000, "Abs", "else_branch"],
])("takes what an input decides that is always %d, and fails for other values", async (value, op, branch) => {
  const given = { sr: rate(value) };
  const before = rated();
  const { model, changes } = cleanModel(before.build(), { given });
  expect(model.graph.node.map(({ opType }) => opType)).toContain(op);
  expect(model.graph.node.map(({ opType }) => opType)).not.toContain("If");
  expect(model.graph.input.map(({ name }) => name)).toEqual(["x", "sr"]);
  const change = changes.find(({ pass }) => pass === "inline-branches")!;
  expect(change.explanation).toContain(branch);
  expect(change.explanation).toContain(`sr = ${value}`);
  const after = writeModel(model);
  await expectSameOutputs(before.bytes(), after, { x, ...given });
  for (const optimization of ["disabled", "all"] as const) {
    const other: Feeds = { x, sr: rate(24000 - value) };
    await expect(runOnnx(after, other, { optimization })).rejects.toThrow(`sr_must_be_${value}`);
  }
  expect(cleanModel(readModel(after), { given }).changes).toEqual([]);
});

it("leaves a condition alone that nothing decides", async () => {
  expect((await cleanAndCompare(rated(), { x, sr: rate(8000) })).ops).toContain("If");
});
