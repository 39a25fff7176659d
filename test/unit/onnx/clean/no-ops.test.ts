import { describe, expect, it } from "vitest";
import { cleanModel } from "../../../../src/onnx/clean/index.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel, type ModelBuilder } from "../../../support/model-builder.js";
import { ifNode } from "../../../support/subgraphs.js";
import { float32, int64, randomTensor } from "../../../support/tensors.js";

const x = randomTensor([2, 3, 4, 5], 1);

/** x -> Neg -> what the test adds, from "n" to "o" -> Abs -> y. */
function between(add: (model: ModelBuilder) => ModelBuilder, opset = 17): ModelBuilder {
  const model = buildModel(opset).input("x", ["N", 3, 4, 5]).node("Neg", ["x"], ["n"]);
  return add(model).node("Abs", ["o"], ["y"]).output("y");
}

describe("no-ops", () => {
  it.each<[string, ModelBuilder]>([
    ["Identity", between((m) => m.node("Identity", ["n"], ["o"]))],
    ["Dropout", between((m) => m.node("Dropout", ["n"], ["o"]))],
    ["Dropout of old", between((m) => m.node("Dropout", ["n"], ["o", "mask"], { ratio: 0.3 }), 9)],
    [
      "Dropout told not to train",
      between((m) =>
        m.constant("t", { dtype: "bool", dims: [], data: Uint8Array.of(0) }).node("Dropout", ["n", "", "t"], ["o"]),
      ),
    ],
    ["Cast to the same type", between((m) => m.node("Cast", ["n"], ["o"], { to: 1n }))],
    ["Transpose that keeps the order", between((m) => m.node("Transpose", ["n"], ["o"], { perm: [0n, 1n, 2n, 3n] }))],
    [
      "Pad by nothing",
      between((m) => m.constant("p", int64([8], new Array(8).fill(0))).node("Pad", ["n", "p"], ["o"])),
    ],
    ["Concat of one", between((m) => m.node("Concat", ["n"], ["o"], { axis: 1n }))],
    ["Max of one", between((m) => m.node("Max", ["n"], ["o"]))],
    [
      "Reshape to its own shape",
      between((m) => m.constant("s", int64([4], [-1, 3, 4, 5])).node("Reshape", ["n", "s"], ["o"])),
    ],
    [
      "Reshape that copies",
      between((m) => m.constant("s", int64([4], [0, 0, 4, -1])).node("Reshape", ["n", "s"], ["o"])),
    ],
    ["Expand by nothing", between((m) => m.constant("s", int64([2], [1, 5])).node("Expand", ["n", "s"], ["o"]))],
    [
      "a chain",
      between((m) =>
        m.node("Identity", ["n"], ["a"]).node("Cast", ["a"], ["b"], { to: 1n }).node("Identity", ["b"], ["o"]),
      ),
    ],
    [
      "two transposes",
      between((m) =>
        m
          .node("Transpose", ["n"], ["a"], { perm: [0n, 2n, 3n, 1n] })
          .node("Transpose", ["a"], ["o"], { perm: [0n, 3n, 1n, 2n] }),
      ),
    ],
  ])("removes %s", async (_, model) => {
    expect((await cleanAndCompare(model, { x })).ops).toEqual(["Neg", "Abs"]);
  });

  it.each<[string, ModelBuilder]>([
    ["Cast", between((m) => m.node("Cast", ["n"], ["i"], { to: 6n }).node("Cast", ["i"], ["o"], { to: 1n }))],
    ["Transpose", between((m) => m.node("Transpose", ["n"], ["o"], { perm: [0n, 1n, 3n, 2n] }))],
    ["Reshape", between((m) => m.constant("s", int64([4], [-1, 4, 3, 5])).node("Reshape", ["n", "s"], ["o"]))],
    ["Reshape", between((m) => m.constant("s", int64([4], [3, -1, 4, 5])).node("Reshape", ["n", "s"], ["o"]))],
    ["Expand", between((m) => m.constant("s", int64([5], [1, 1, 3, 4, 5])).node("Expand", ["n", "s"], ["o"]))],
    ["Concat", between((m) => m.node("Concat", ["n", "n"], ["o"], { axis: 1n }))],
  ])("keeps a %s that does something", async (op, model) => {
    expect((await cleanAndCompare(model, { x })).ops).toContain(op);
  });

  it("keeps a Reshape of nothing, whose sizes do not follow from the count", async () => {
    const model = buildModel(17)
      .input("x", [0, "T"])
      .constant("s", int64([2], [0, 5]));
    model.node("Neg", ["x"], ["n"]).node("Reshape", ["n", "s"], ["y"], { allowzero: 1n }).output("y");
    expect((await cleanAndCompare(model, { x: float32([0, 3], []) })).ops).toEqual(["Neg", "Reshape"]);
  });

  it("keeps a Dropout whose mask is read", () => {
    const model = buildModel(17).input("x", [2]).node("Neg", ["x"], ["n"]).node("Dropout", ["n"], ["o", "mask"]);
    model.node("Cast", ["mask"], ["m"], { to: 1n }).node("Add", ["o", "m"], ["y"]).output("y");
    expect(cleanModel(model.build()).changes).toEqual([]);
  });

  it("joins transposes that do not cancel, and keeps the first for its other readers", async () => {
    const model = buildModel(17)
      .input("x", ["N", 3, 4, 5])
      .node("Transpose", ["x"], ["a"], { perm: [0n, 2n, 3n, 1n] });
    model
      .node("Transpose", ["a"], ["y"], { perm: [0n, 2n, 1n, 3n] })
      .node("Neg", ["a"], ["z"])
      .output("y")
      .output("z");
    const { ops, graph } = await cleanAndCompare(model, { x });
    expect(ops).toEqual(["Transpose", "Transpose", "Neg"]);
    expect(graph.producer("y")!.input).toEqual(["x"]);
  });

  it("gives the producer the name of a graph output", async () => {
    const model = buildModel(17).input("x", ["N", 3, 4, 5]).node("Neg", ["x"], ["n"]).node("Identity", ["n"], ["y"]);
    const { ops, graph } = await cleanAndCompare(model.node("Abs", ["n"], ["z"]).output("y").output("z"), { x });
    expect(ops).toEqual(["Neg", "Abs"]);
    expect(graph.producer("z")!.input).toEqual(["y"]);
  });

  it("keeps an Identity between names that must both stay", async () => {
    const model = buildModel(17)
      .input("x", ["N", 3, 4, 5])
      .constant("c", float32([2], [1, 2]))
      .node("Neg", ["x"], ["n"]);
    model.node("Identity", ["x"], ["a"]).node("Identity", ["n"], ["b"]).node("Identity", ["c"], ["d"]);
    for (const name of ["a", "n", "b", "d"]) model.output(name);
    expect((await cleanAndCompare(model, { x })).ops).toEqual(["Neg", "Identity", "Identity", "Identity"]);
  });

  it("lets subgraphs read the value behind a removed node", async () => {
    const model = buildModel(17).input("x", ["N", 3, 4, 5]).input("flag", [], "bool").node("Neg", ["x"], ["n"]);
    model
      .node("Identity", ["n"], ["i"])
      .add(ifNode("flag", "i", "x", "y"))
      .output("y");
    const flag = { dtype: "bool", dims: [], data: Uint8Array.of(1) } as const;
    expect((await cleanAndCompare(model, { x, flag })).ops).toEqual(["Neg", "If"]);
  });
});
