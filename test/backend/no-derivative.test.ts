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
