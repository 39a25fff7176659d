import { entryOf } from "../../../entry-of.js";
import { stringAttribute } from "../../../onnx/attributes.js";
import type { NodeProto } from "../../../onnx/generated/onnx_pb.js";
import type { Graph } from "../../../onnx/graph.js";
import { canonicalDomain } from "../../../onnx/validate.js";

/**
 * Operators without weights that onnxruntime runs on codes.
 *
 * - `rescale`: a kernel of its own that reads each input and writes its output on grids of their own (QLinearAdd, ...).
 * - `keep`: moves or selects elements, so the output lies on the input's grid.
 */
type FlowKind = "rescale" | "keep";

interface FlowOperator {
  readonly kind: FlowKind;
  /** Data inputs: all of them, or the first alone. */
  readonly inputs: "all" | "first";
  readonly accepts?: (node: NodeProto) => boolean;
}

const firstOutputAlone = (node: NodeProto) => node.output.filter((name) => name !== "").length === 1;

const operators: Readonly<Record<string, FlowOperator>> = {
  Add: { kind: "rescale", inputs: "all" },
  Mul: { kind: "rescale", inputs: "all" },
  Concat: { kind: "rescale", inputs: "all" },
  AveragePool: { kind: "rescale", inputs: "first" },
  GlobalAveragePool: { kind: "rescale", inputs: "first" },
  LeakyRelu: { kind: "rescale", inputs: "first" },
  MaxPool: { kind: "keep", inputs: "first", accepts: firstOutputAlone },
  Resize: {
    kind: "keep",
    inputs: "first",
    accepts: (node) => stringAttribute(node, "mode", "nearest") === "nearest",
  },
  Reshape: { kind: "keep", inputs: "first" },
  Flatten: { kind: "keep", inputs: "first" },
  Squeeze: { kind: "keep", inputs: "first" },
  Unsqueeze: { kind: "keep", inputs: "first" },
  Transpose: { kind: "keep", inputs: "first" },
  Slice: { kind: "keep", inputs: "first" },
  Split: { kind: "keep", inputs: "first" },
  Gather: { kind: "keep", inputs: "first" },
  DepthToSpace: { kind: "keep", inputs: "first" },
};

export interface FlowNode {
  readonly kind: FlowKind;
  /** Ports that read data; the others hold shapes, axes and the like. */
  readonly ports: readonly number[];
}

/** How a node can take part in an integer region; undefined when it cannot. */
export function flowNode(graph: Graph, node: NodeProto): FlowNode | undefined {
  const operator = canonicalDomain(node.domain) === "" ? entryOf(operators, node.opType) : undefined;
  if (operator === undefined || operator.accepts?.(node) === false) return undefined;
  const ports = operator.inputs === "first" ? [0] : [...node.input.keys()];
  // The integer kernels take constants too, but would need them quantized; such nodes are rare enough to stay float.
  if (ports.some((port) => graph.constant(node.input[port]!) !== undefined)) return undefined;
  return { kind: operator.kind, ports };
}
