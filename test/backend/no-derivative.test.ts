import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { backend } from "../support/backends.js";
import { buildModel, type ModelBuilder } from "../support/model-builder.js";
import { float32 } from "../support/tensors.js";

interface Opened {
  readonly graph: Graph;
  readonly value: (name: string) => number;
  readonly node: (name: string) => number;
}

/** Runs a model with input x [2, 2] and puts the sum of its output y at the end. */
async function open(model: ModelBuilder): Promise<Opened> {
  const { program, tensors, nodes } = encodeProgram(model.output("y").build());
  const value = (name: string) => tensors.indexOf(name);
  const graph = await Graph.create(backend, program);
  await graph.run(new Map([[value("x"), float32([2, 2], [1, -2, 3, 0.5])]]), { keep: true });
  await graph.loss({ kind: "sum", value: value("y") });
  return { graph, value, node: (name) => nodes.indexOf(name) };
}

const model = () => buildModel(17).input("x", ["N", 2]);
const refused = (work: Promise<unknown>, message: string) =>
  expect(work).rejects.toMatchObject({
    name: "BitwrightError",
    code: "unsupported-op",
    message: expect.stringContaining(message),
  });

describe("derivatives that an operator lacks are refused, not zero:", () => {
  const normalized = () =>
    ["scale", "bias", "mean", "variance"]
      .reduce((builder, name) => builder.constant(name, float32([2], [1, 2])), model())
      .node("BatchNormalization", ["x", "scale", "bias", "mean", "variance"], ["y"], {}, { name: "norm" });

  test("the gradient of a mean", async () => {
    const { graph, value } = await open(normalized());
    await refused(graph.gradient([value("mean")]), "no derivative in its input 3");
    await refused(graph.gradient([value("variance")]), "no derivative in its input 4");
    await graph.gradient([value("scale"), value("bias")]);
    expect(await graph.readWeightGradient(value("bias"))).toEqual(Float64Array.of(2, 2));
    await graph.dispose();
  });

  test("the gradient of a bound", async () => {
    const clipped = model()
      .constant("low", float32([], [-1]))
      .node("Clip", ["x", "low"], ["y"]);
    const { graph, value } = await open(clipped);
    await refused(graph.gradient([value("low")]), "no derivative in its input 1");
    await graph.dispose();
  });

  test("the tangent through a bound, and the gradient of what it was computed from", async () => {
    const clipped = model().node("ReduceMax", ["x"], ["top"], { keepdims: 0n }).node("Clip", ["x", "", "top"], ["y"]);
    const { graph, value, node } = await open(clipped);
    await refused(graph.gradient([value("x")]), "no derivative in its input 2");
    await graph.setSites({ weights: [], edges: [{ node: node("ReduceMax_0"), port: 0 }], probes: 1 });
    await refused(graph.tangent(), "no derivative in its input 2");
    await graph.dispose();
  });
});

test("casts to integers are piecewise constant: nothing passes them", async () => {
  const rounded = model()
    .constant("w", float32([2, 2], [1, 2, 3, 4]))
    .node("MatMul", ["x", "w"], ["z"])
    .node("Cast", ["z"], ["i"], { to: 7n })
    .node("Cast", ["i"], ["j"], { to: 1n })
    .node("Add", ["j", "z"], ["y"]);
  const { graph, value } = await open(rounded);
  await graph.gradient([value("w")]);
  expect(await graph.readWeightGradient(value("w"))).toEqual(Float64Array.of(4, 4, -1.5, -1.5));
  await graph.dispose();
});

test("an initializer that others are multiplied into is no site", async () => {
  const scattered = buildModel(18)
    .input("x", ["N", 2])
    .constant("w", float32([2, 2], [1, 2, 3, 4]))
    .constant("at", { dtype: "int64", dims: [1, 1], data: BigInt64Array.of(0n) })
    .node("ReduceMean", ["x", "none"], ["u"], { keepdims: 1n })
    .constant("none", { dtype: "int64", dims: [1], data: BigInt64Array.of(0n) })
    .node("ScatterND", ["w", "at", "u"], ["y"], { reduction: "mul" }, { name: "scatter" });
  const { graph, value } = await open(scattered);
  await refused(graph.setErrors([{ value: value("w"), data: new Float32Array(4) }]), "'w'");
  await graph.dispose();
});

test("initializers that are no weight of a product at run time are no sites", async () => {
  const folded = model()
    .constant("w", float32([2, 2], [1, 2, 3, 4]))
    .constant("v", float32([2, 2], [1, 2, 3, 4]))
    .node("MatMul", ["v", "w"], ["u"])
    .node("Mul", ["x", "u"], ["y"]);
  const { graph, value } = await open(folded);
  await refused(graph.setSites({ weights: [value("w")], probes: 1 }), "'w'");
  await refused(graph.setErrors([{ value: value("v"), data: new Float32Array(4) }]), "'v'");
  await graph.dispose();
});

describe("errors and directions where no derivative arrives are refused, not zero:", () => {
  const grid = { scale: 0.1, zeroPoint: 0, qmin: -8, qmax: 7 };
  const scaled = () =>
    model()
      .constant("k", float32([2], [1, 2]))
      .node("Mul", ["x", "k"], ["y"], {}, { name: "scale" });
  const rounded = () =>
    model()
      .node("Cast", ["x"], ["i"], { to: 7n })
      .node("Cast", ["i"], ["j"], { to: 1n }, { name: "back" })
      .node("Add", ["j", "x"], ["y"]);

  test("of a constant", async () => {
    const { graph, node } = await open(scaled());
    const edge = { node: node("scale"), port: 1 };
    await refused(graph.setErrors([{ ...edge, grid }]), "'k', which is constant, at input 1");
    await refused(graph.setErrors([{ ...edge, variance: { constant: 1, relative: 0 } }]), "'k', which is constant");
    await refused(graph.setSites({ weights: [], edges: [edge], probes: 1 }), "'k', which is constant");
    await graph.setErrors([{ node: edge.node, port: 0, grid }]);
    expect((await graph.project({ source: "loss" })).values).toHaveLength(2);
    await graph.dispose();
  });

  test("of integers", async () => {
    const { graph, node } = await open(rounded());
    const edge = { node: node("back"), port: 0 };
    await refused(graph.setErrors([{ ...edge, grid }]), "'i', which is int64, at input 0");
    await refused(graph.setSites({ weights: [], edges: [edge], probes: 1 }), "'i', which is int64");
    await graph.dispose();
  });

  test("of integers that are known to be such when the model has run", async () => {
    const { program, tensors, nodes } = encodeProgram(rounded().output("y").build());
    const graph = await Graph.create(backend, program);
    await graph.setErrors([{ node: nodes.indexOf("back"), port: 0, grid }]);
    await graph.run(new Map([[tensors.indexOf("x"), float32([1, 2], [1, 2])]]), { keep: true });
    await graph.loss({ kind: "sum", value: tensors.indexOf("y") });
    await refused(graph.project({ source: "loss" }), "'i', which is int64");
    await graph.setSites({ weights: [], edges: [], probes: 1 });
    await graph.dispose();
  });
});
