import type { Layer } from "./export/layers.js";
import type { NodeProto } from "./onnx/generated/onnx_pb.js";
import { Graph } from "./onnx/graph.js";
import type { OnnxModel } from "./onnx/model.js";
import { canonicalDomain } from "./onnx/validate.js";

/** Nodes that multiply, but are no layers, for one reason. */
export interface PassedOver {
  readonly op: string;
  readonly reason: string;
  readonly nodes: readonly string[];
}

/** Operators that multiply, and the port of their weight where they have one. */
const products: Readonly<Record<string, number | undefined>> = {
  Conv: 1,
  ConvTranspose: 1,
  Gemm: 1,
  MatMul: 1,
  Einsum: undefined,
  GRU: undefined,
  LSTM: undefined,
  RNN: undefined,
};

/**
 * The nodes of a cleaned model that multiply and whose formats are nobody's to choose.
 * @param layers - Of the model.
 */
export function passedOver(model: OnnxModel, layers: readonly Layer[]): PassedOver[] {
  const graph = new Graph(model);
  const known = new Set(layers.map(({ node }) => node));
  const found = new Map<string, PassedOver>();
  for (const node of graph.nodes) {
    if (known.has(node.name) || canonicalDomain(node.domain) !== "" || !Object.hasOwn(products, node.opType)) continue;
    const op = node.opType;
    const reason = reasonOf(graph, node);
    const key = `${op} ${reason}`;
    found.set(key, { op, reason, nodes: [...(found.get(key)?.nodes ?? []), node.name] });
  }
  return [...found.values()];
}

function reasonOf(graph: Graph, node: NodeProto): string {
  const port = products[node.opType];
  if (port === undefined) return "the operator has no narrow form";
  const weight = graph.constant(node.input[port] ?? "");
  const other = graph.constant(node.input[0]!);
  if (weight === undefined)
    return other === undefined ? "the weight is computed at run time" : "the stored operand comes first";
  if (other !== undefined) return "both operands are stored";
  if (weight.dtype !== "float32") return `the weight is ${weight.dtype}`;
  return `the weight has ${weight.dims.length} axes`;
}
