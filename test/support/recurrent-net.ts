import type { Backend } from "../../src/backend/backend.js";
import { Graph } from "../../src/backend/graph.js";
import type { GraphOptions } from "../../src/backend/graph-types.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { elementCount } from "../../src/tensor.js";
import { buildModel } from "./model-builder.js";
import { float32, int64, randomFloats, randomTensor } from "./tensors.js";

const steps = 3;
const inputs = 2;
const hidden = 2;
const weightShapes: Readonly<Record<string, readonly number[]>> = {
  "head.b": [3],
  "gru.w": [1, 3 * hidden, inputs],
  "gru.r": [1, 3 * hidden, hidden],
  "lstm.w": [2, 4 * hidden, hidden],
  "lstm.r": [2, 4 * hidden, hidden],
  "head.w": [2 * hidden, 3],
};

const { program, tensors, nodes } = encodeProgram(
  Object.entries(weightShapes)
    .reduce(
      (model, [name, dims], i) => model.constant(name, randomTensor(dims, 51 + i)),
      buildModel(17).input("x", ["N", steps, inputs]),
    )
    .constant("axis", int64([1], [1]))
    .node("Transpose", ["x"], ["a"], { perm: [1n, 0n, 2n] })
    .node("GRU", ["a", "gru.w", "gru.r"], ["b"], { hidden_size: BigInt(hidden) }, { name: "gru" })
    .node("Squeeze", ["b", "axis"], ["c"])
    .node(
      "LSTM",
      ["c", "lstm.w", "lstm.r"],
      ["", "d"],
      { hidden_size: BigInt(hidden), direction: "bidirectional" },
      { name: "lstm" },
    )
    .node("Transpose", ["d"], ["e"], { perm: [1n, 0n, 2n] })
    .node("Flatten", ["e"], ["f"])
    .node("Gemm", ["f", "head.w", "head.b"], ["y"], {}, { name: "head" })
    .output("y")
    .build(),
);

/** Recurrent layers, whose activations have samples on the second axis, in front of a matrix product. */
export const recurrentNet = {
  value: (name: string) => tensors.indexOf(name),
  node: (name: string) => nodes.indexOf(name),
  weights: Object.keys(weightShapes).slice(1),
  elements: (name: string) => elementCount(weightShapes[name]!),
  open: (backend: Backend, options: GraphOptions = {}) => Graph.create(backend, program, options),
};

/** Runs samples [first, first + count) of an endless data set and puts half the squared distance to some numbers on the output. */
export async function runRecurrent(graph: Graph, first: number, count: number): Promise<Float64Array> {
  const samples = Array.from({ length: count }, (_, n) => first + n);
  const data = Float32Array.from(samples.flatMap((sample) => [...randomFloats(steps * inputs, 70 + sample, -1, 1)]));
  await graph.run(new Map([[recurrentNet.value("x"), float32([count, steps, inputs], data)]]), { keep: true });
  const target = Float32Array.from(samples.flatMap((sample) => [...randomFloats(3, 90 + sample)]));
  return graph.loss({ kind: "squared-error", value: recurrentNet.value("y"), target });
}
