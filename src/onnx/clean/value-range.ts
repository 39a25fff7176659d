import { floatAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";

/** Bounds of a Clip: attributes up to operator set 10, then inputs; undefined when they are computed at run time. */
export function clipBounds(graph: Graph, node: NodeProto): { low: number; high: number } | undefined {
  const bound = (port: number, attribute: string, open: number) => {
    const name = node.input[port] ?? "";
    if (name === "") return floatAttribute(node, attribute, open);
    const tensor = graph.constant(name);
    return tensor?.dtype === "float32" && tensor.data.length === 1 ? tensor.data[0] : undefined;
  };
  const low = bound(1, "min", Number.NEGATIVE_INFINITY);
  const high = bound(2, "max", Number.POSITIVE_INFINITY);
  return low === undefined || high === undefined || !(low <= high) ? undefined : { low, high };
}

const neverNegative = new Set(["Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp", "Sqrt"]);

/** Operators whose outputs are elements of their first input, or averages of them. */
const passesOn = new Set(
  "MaxPool AveragePool GlobalAveragePool GlobalMaxPool Reshape Flatten Transpose Squeeze Unsqueeze Dropout".split(" "),
);

/** Whether no element of a value can be below zero, as far as the operators that made it tell. */
export function isNonNegative(graph: Graph, name: string): boolean {
  for (let node = graph.producer(name); node !== undefined; node = graph.producer(node.input[0] ?? "")) {
    if (neverNegative.has(node.opType)) return true;
    if (node.opType === "Clip") return (clipBounds(graph, node)?.low ?? -1) >= 0;
    if (node.opType === "Concat") return node.input.every((input) => isNonNegative(graph, input));
    if (!passesOn.has(node.opType)) return false;
  }
  return false;
}
