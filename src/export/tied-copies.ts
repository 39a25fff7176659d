import type { TensorProto } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import type { TensorOf } from "../tensor.js";
import type { Layer } from "./layers.js";

/**
 * Notes which weights of products are transposed copies of embedding tables. Models tie the two, but exporters and constant folding write the
 * transposed matrix down once more.
 */
export function tieCopies(graph: Graph, layers: readonly Layer[]): Layer[] {
  const tables = layers.filter(({ op, inputs, weight }) => op === "Gather" && inputs.length === 0 && isMatrix(weight));
  if (tables.length === 0) return [...layers];
  return layers.map((layer) => {
    const { weight } = layer;
    if (layer.op !== "MatMul" || weight === undefined || graph.isOutput(weight.initializer)) return layer;
    const original = tables.find((table) => isCopy(graph, weight.initializer, table.weight!.initializer));
    return original === undefined ? layer : { ...layer, weight: { ...weight, copyOf: original.weight!.initializer } };
  });
}

function isMatrix(weight: Layer["weight"]): boolean {
  return weight?.dims.length === 2 && weight.channelAxis === 0;
}

/** What was compared: the stored tensors of a model stay the same. */
const compared = new WeakMap<TensorProto, WeakMap<TensorProto, boolean>>();

function isCopy(graph: Graph, name: string, table: string): boolean {
  const [copy, original] = [graph.initializer(name)!, graph.initializer(table)!];
  const known = compared.get(copy) ?? new WeakMap<TensorProto, boolean>();
  compared.set(copy, known);
  const answer =
    known.get(original) ??
    isTranspose(graph.constant(name) as TensorOf<"float32">, graph.constant(table) as TensorOf<"float32">);
  known.set(original, answer);
  return answer;
}

function isTranspose(a: TensorOf<"float32">, b: TensorOf<"float32">): boolean {
  const [rows, columns] = a.dims as [number, number];
  if (b.dims[0] !== columns || b.dims[1] !== rows) return false;
  const { data } = b;
  return a.data.every((value, i) => value === data[(i % columns) * rows + Math.floor(i / columns)]);
}
