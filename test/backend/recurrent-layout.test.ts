import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import { ops } from "../../src/backend/info.js";
import type { NodeProto } from "../../src/onnx/generated/onnx_pb.js";
import { makeNode } from "../../src/onnx/node.js";
import { encodeProgram } from "../../src/onnx/program.js";
import type { Feeds, Tensor } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import type { ModelBuilder } from "../support/model-builder.js";
import { runOnnx } from "../support/onnxruntime.js";
import { directModel, type OpCase, opCase, variables } from "../support/op-samples.js";
import { randomFloats } from "../support/tensors.js";

// onnxruntime's processor kernels refuse layout 1. By its definition it is layout 0 between transpositions, which they run.

/** Where the axes of a layout are in the other: X and the states are their own inverse, Y is not. */
const swapped = [1, 0, 2];
const batchFirstOutputs = [[2, 0, 1, 3], swapped, swapped];
const sequences = 0;
const states = [5, 6];

/** The case with its samples in front, as a node of layout 1, or as one of layout 0 between transpositions. */
function batchFirst(op: OpCase): { readonly own: OpCase; readonly around: (model: ModelBuilder) => ModelBuilder } {
  const moved = (i: number) => i === sequences || states.includes(i);
  const own: OpCase = {
    ...op,
    inputs: op.inputs.map((input, i) => {
      if (input === null || !moved(i)) return input;
      const [a, b, ...rest] = input.tensor.dims as [number, number];
      return { ...input, tensor: { ...input.tensor, dims: [b, a, ...rest] } as Tensor };
    }),
    addNode: (model) => {
      op.addNode(model);
      const node = nodeOf(model);
      node.attribute.push(
        ...makeNode({ opType: "", name: "", inputs: [], outputs: [], attributes: { layout: 1n } }).attribute,
      );
      return model;
    },
  };
  const around = (model: ModelBuilder) => {
    op.addNode(model);
    const node = nodeOf(model);
    model.graph.node.pop();
    for (const [i, name] of node.input.entries()) {
      if (name === "" || !moved(i)) continue;
      model.node("Transpose", [name], [`${name}_steps`], { perm: swapped.map(BigInt) });
      node.input[i] = `${name}_steps`;
    }
    node.output = node.output.map((name) => `${name}_steps`);
    model.graph.node.push(node);
    for (const [o, name] of op.outputs.entries()) {
      model.node("Transpose", [`${name}_steps`], [name], { perm: batchFirstOutputs[o]!.map(BigInt) });
    }
    return model;
  };
  return { own, around };
}

function nodeOf(model: ModelBuilder): NodeProto {
  return model.graph.node.at(-1)!;
}

function feedsOf({ inputs }: OpCase): Feeds {
  return Object.fromEntries(
    inputs.flatMap((input) => (input === null || input.constant ? [] : [[input.name, input.tensor] as const])),
  );
}

interface Results {
  readonly values: Feeds;
  readonly gradients: Float64Array[];
  readonly tangents: Float64Array[];
  readonly forms: Float64Array;
}

/** Everything about a model in double, with W and R as stored weights and probes on them and on what else is fed. */
async function differentiate(op: OpCase, output: string): Promise<Results> {
  const stored: OpCase = {
    ...op,
    inputs: op.inputs.map((input, i) => (input !== null && [1, 2].includes(i) ? { ...input, constant: true } : input)),
  };
  const { program, tensors } = encodeProgram(directModel(stored, false).build());
  const id = (name: string) => tensors.indexOf(name);
  const graph = await Graph.create(backend, program, { precision: "float64" });
  try {
    await graph.run(new Map(Object.entries(feedsOf(stored)).map(([name, tensor]) => [id(name), tensor])), {
      keep: true,
    });
    const values: Record<string, Tensor> = {};
    for (const name of op.outputs) values[name] = await graph.read(id(name));
    const target = randomFloats(values[output]!.data.length, 7);
    await graph.loss({ kind: "linear", value: id(output), target });
    const weights = [id("x1"), id("x2")];
    const fed = variables(stored).map(({ name }) => id(name));
    await graph.gradient([...weights, ...fed]);
    const gradients: Float64Array[] = [];
    for (const weight of weights) gradients.push(await graph.readWeightGradient(weight));
    for (const value of fed) gradients.push((await graph.readGradient(value)).data as Float64Array);
    await graph.setSites({ weights, probes: 2, perSample: true, seed: 3 });
    await graph.tangent();
    const tangents: Float64Array[] = [];
    for (const p of [0, 1]) tangents.push((await graph.readTangent(id(output), p)).data as Float64Array);
    await graph.loss({ kind: "linear", value: id(output), target });
    const { forms } = await graph.hessian({ products: false });
    return { values, gradients, tangents, forms };
  } finally {
    await graph.dispose();
  }
}

const recurrent = ops(backend).filter(({ type }) => ["RNN", "GRU", "LSTM"].includes(type));

describe.each(recurrent)("$type with its samples in front", (row) => {
  describe.each(row.samples.map((_, i) => opCase(row, i)))("$title", (op) => {
    const { own, around } = batchFirst(op);

    test("computes what layout 0 does between transpositions in onnxruntime", async () => {
      const feeds = feedsOf(own);
      const expected = await runOnnx(directModel({ ...own, addNode: around }, false).bytes(), feeds);
      const { program, tensors } = encodeProgram(directModel(own, false).build());
      const graph = await Graph.create(backend, program);
      await graph.run(new Map(Object.entries(feeds).map(([name, tensor]) => [tensors.indexOf(name), tensor])));
      for (const output of own.outputs) {
        const { dims, data } = await graph.read(tensors.indexOf(output));
        expect(dims).toEqual(expected[output]!.dims);
        expectClose(data as Float32Array, expected[output]!.data as Float32Array, 1e-5);
      }
      await graph.dispose();
    });

    test("has the derivatives of layout 0", async () => {
      for (const output of own.outputs) {
        const a = await differentiate(own, output);
        const b = await differentiate({ ...own, addNode: around }, output);
        for (const name of own.outputs) expectClose(reals(a.values[name]!), reals(b.values[name]!), 1e-14);
        for (const [i, gradient] of a.gradients.entries()) expectClose(gradient, b.gradients[i]!, 1e-12);
        for (const [p, tangent] of a.tangents.entries()) expectClose(tangent, b.tangents[p]!, 1e-12);
        expectClose(a.forms, b.forms, 1e-12);
        expect(a.gradients.every((gradient) => gradient.some((element) => element !== 0))).toBe(true);
      }
    });
  });
});

const reals = ({ data }: Tensor) => data as Float64Array;

function expectClose(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(received.length).toBe(expected.length);
  const scale = Math.max(1, ...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(received[i]! - expected[i]!) / scale).toBeLessThanOrEqual(tolerance);
  }
}
