import type { Backend } from "../../src/backend/backend.js";
import { Graph } from "../../src/backend/graph.js";
import type { GraphOptions } from "../../src/backend/graph-types.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { elementCount, type Tensor } from "../../src/tensor.js";
import { buildModel } from "./model-builder.js";
import { randomTensor } from "./tensors.js";

/** Shapes of the weights of {@link tinyNet}, by name. */
export const weightShapes: Readonly<Record<string, readonly number[]>> = {
  "stem.w": [4, 2, 3, 3],
  "depthwise.w": [4, 1, 3, 3],
  "grouped.w": [6, 2, 1, 1],
  "head.w": [6, 3],
};

const { program, tensors, nodes } = encodeProgram(
  Object.entries(weightShapes)
    .reduce(
      (model, [name, dims], i) => model.constant(name, randomTensor(dims, 11 + i)),
      buildModel(17)
        .input("x", ["N", 2, 7, 7])
        .constant("stem.b", randomTensor([4], 3)),
    )
    .node("Conv", ["x", "stem.w", "stem.b"], ["a"], { pads: [1n, 1n, 1n, 1n], strides: [2n, 2n] }, { name: "stem" })
    .node("Sigmoid", ["a"], ["b"])
    .node("Conv", ["b", "depthwise.w"], ["c"], { pads: [1n, 1n, 1n, 1n], group: 4n }, { name: "depthwise" })
    .node("Add", ["b", "c"], ["d"])
    .node("Relu", ["d"], ["e"])
    .node("Conv", ["e", "grouped.w"], ["f"], { group: 2n }, { name: "grouped" })
    .node("Tanh", ["f"], ["g"])
    .node("GlobalAveragePool", ["g"], ["h"])
    .node("Flatten", ["h"], ["i"])
    .node("Gemm", ["i", "head.w"], ["logits"], {}, { name: "head" })
    .output("logits")
    .build(),
);

/** A small network with every kind of product: dense, depthwise and grouped convolutions, a residual sum, a Gemm. */
export const tinyNet = {
  value: (name: string) => tensors.indexOf(name),
  node: (name: string) => nodes.indexOf(name),
  weights: Object.keys(weightShapes),
  elements: (name: string) => elementCount(weightShapes[name]!),
  open: (backend: Backend, options: GraphOptions = {}) => Graph.create(backend, program, options),
};

/** Inputs of the samples [first, first + count) of an endless data set, and their labels. */
export function tinySamples(first: number, count: number): { inputs: Map<number, Tensor>; labels: Int32Array } {
  const each = 2 * 7 * 7;
  const data = new Float32Array(count * each);
  for (let n = 0; n < count; n++) data.set(randomTensor([each], 100 + first + n).data as Float32Array, n * each);
  return {
    inputs: new Map([[tinyNet.value("x"), { dtype: "float32", dims: [count, 2, 7, 7], data }]]),
    labels: Int32Array.from({ length: count }, (_, n) => (first + n) % 3),
  };
}

/** Runs samples and puts their cross-entropy on the logits. */
export async function runWithLoss(graph: Graph, first: number, count: number): Promise<Float64Array> {
  const { inputs, labels } = tinySamples(first, count);
  await graph.run(inputs, { keep: true });
  return graph.loss({ kind: "cross-entropy", value: tinyNet.value("logits"), target: labels });
}
