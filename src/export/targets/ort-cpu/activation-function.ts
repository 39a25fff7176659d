import type { NodeProto } from "../../../onnx/generated/onnx_pb.js";
import type { Graph } from "../../../onnx/graph.js";
import { canonicalDomain } from "../../../onnx/validate.js";

/** An activation function that clamps to [0, ceiling], which the codes of the tensor behind it can do instead. */
export interface ClampingFunction {
  readonly output: string;
  readonly ceiling: number;
}

/** The Relu or Clip(0, ceiling) that is the only reader of a tensor; undefined when there is none. */
export function clampBehind(graph: Graph, tensor: string): ClampingFunction | undefined {
  const use = graph.soleUse(tensor);
  if (use === undefined || use.port !== 0 || canonicalDomain(use.node.domain) !== "") return undefined;
  const ceiling = ceilingOf(graph, use.node);
  return ceiling === undefined ? undefined : { output: use.node.output[0]!, ceiling };
}

function ceilingOf(graph: Graph, node: NodeProto): number | undefined {
  if (node.opType === "Relu") return Number.POSITIVE_INFINITY;
  if (node.opType !== "Clip") return undefined;
  const low = bound(graph, node.input[1], Number.NEGATIVE_INFINITY);
  const high = bound(graph, node.input[2], Number.POSITIVE_INFINITY);
  return low === 0 && high !== undefined && high > 0 ? high : undefined;
}

/** A bound of a Clip, which inputs hold since opset 11: `open` when it has none, undefined when it is not constant. */
function bound(graph: Graph, name: string | undefined, open: number): number | undefined {
  if (name === undefined || name === "") return open;
  const value = graph.constant(name);
  return value?.dtype === "float32" && value.data.length === 1 ? value.data[0] : undefined;
}
