import type { Backend } from "../../src/backend/backend.js";
import { Graph } from "../../src/backend/graph.js";
import type { GraphOptions } from "../../src/backend/graph-types.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { elementCount } from "../../src/tensor.js";
import { buildModel } from "./model-builder.js";
import { int64, randomFloats, randomTensor } from "./tensors.js";

const width = 4;
const length = 3;
const weightShapes: Readonly<Record<string, readonly number[]>> = {
  table: [5, width],
  "tied.w": [width, width],
  "head.w": [width, 2],
};

const { program, tensors, nodes } = encodeProgram(
  Object.entries(weightShapes)
    .reduce(
      (model, [name, dims], i) => model.constant(name, randomTensor(dims, 31 + i)),
      buildModel(17).input("ids", ["N", length], "int64"),
    )
    .node("Gather", ["table", "ids"], ["a"], {}, { name: "embed" })
    .node("MatMul", ["a", "tied.w"], ["b"], {}, { name: "first" })
    .node("Tanh", ["b"], ["c"])
    .node("MatMul", ["c", "tied.w"], ["d"], {}, { name: "second" })
    .node("Transpose", ["d"], ["e"], { perm: [0n, 2n, 1n] })
    .node("MatMul", ["d", "e"], ["f"], {}, { name: "scores" })
    .node("Softmax", ["f"], ["g"], { axis: -1n })
    .node("MatMul", ["g", "c"], ["h"], {}, { name: "mix" })
    .node("MatMul", ["h", "head.w"], ["y"], {}, { name: "head" })
    .output("y")
    .build(),
);

/** A small network with a table, a weight that two nodes read, and products of activations. */
export const tiedNet = {
  value: (name: string) => tensors.indexOf(name),
  node: (name: string) => nodes.indexOf(name),
  weights: Object.keys(weightShapes),
  elements: (name: string) => elementCount(weightShapes[name]!),
  open: (backend: Backend, options: GraphOptions = {}) => Graph.create(backend, program, options),
};

/** Runs samples [first, first + count) of an endless data set and puts half the squared distance to some numbers on the output. */
export async function runTied(graph: Graph, first: number, count: number): Promise<Float64Array> {
  const samples = Array.from({ length: count }, (_, n) => first + n);
  // Different rows of the table, so that no two rows of the output are alike.
  const ids = int64(
    [count, length],
    samples.flatMap((sample) => [sample, sample + 1, sample + 3].map((row) => row % 5)),
  );
  await graph.run(new Map([[tiedNet.value("ids"), ids]]), { keep: true });
  const target = Float32Array.from(samples.flatMap((sample) => [...randomFloats(length * 2, 90 + sample)]));
  return graph.loss({ kind: "squared-error", value: tiedNet.value("y"), target });
}
