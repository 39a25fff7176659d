import { removeAttribute, setAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { scalarTensor } from "../initializer.js";
import { nodePass } from "./pass.js";
import { bypass } from "./rewire.js";
import { clipBounds } from "./value-range.js";

interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Relu and Clip both cut values to a range. */
function boundsOf(graph: Graph, node: NodeProto | undefined): Bounds | undefined {
  if (node?.opType === "Relu") return { low: 0, high: Number.POSITIVE_INFINITY };
  return node?.opType === "Clip" ? clipBounds(graph, node) : undefined;
}

/** Makes one activation of a Relu or Clip that reads another one: engines fold one, not two, into a convolution. */
export const mergeActivations = nodePass("merge-activations", ["Relu", "Clip"], (node, { graph }) => {
  const first = graph.producer(node.input[0]!);
  const inner = boundsOf(graph, first);
  const outer = boundsOf(graph, node);
  if (first === undefined || inner === undefined || outer === undefined) return undefined;
  const cut = (value: number) => Math.min(Math.max(value, outer.low), outer.high);
  const joined = { low: cut(inner.low), high: cut(inner.high) };
  const nodes = [first.name, node.name];

  if (joined.low === inner.low && joined.high === inner.high) {
    if (!bypass(graph, node)) return undefined;
    return {
      nodes,
      explanation: `removed ${node.opType} ${node.name}: the ${first.opType} in front cuts to the same range`,
    };
  }
  // The first one stays when others read it, and two activations of one convolution cannot both be folded into it.
  if (graph.soleUse(node.input[0]!) === undefined) return undefined;
  const explanation = `joined ${first.opType} and ${node.opType} into a cut to [${joined.low}, ${joined.high}]`;
  const isOuter = joined.low === outer.low && joined.high === outer.high;
  if (isOuter || node.opType === "Clip") {
    if (!isOuter) setBounds(graph, node, joined);
    graph.setInput(node, 0, first.input[0]!);
    return { nodes, explanation };
  }
  if (!bypass(graph, node)) return undefined;
  setBounds(graph, first, joined);
  return { nodes, explanation };
});

function setBounds(graph: Graph, clip: NodeProto, bounds: Bounds): void {
  const old = clipBounds(graph, clip);
  const sides = [
    { port: 1, attribute: "min", value: bounds.low, isSet: bounds.low === old?.low },
    { port: 2, attribute: "max", value: bounds.high, isSet: bounds.high === old?.high },
  ];
  for (const { port, attribute, value, isSet } of sides) {
    if (isSet) continue;
    removeAttribute(clip, attribute);
    if (graph.opset() < 11) {
      if (Number.isFinite(value)) setAttribute(clip, attribute, value);
    } else {
      graph.setInput(
        clip,
        port,
        Number.isFinite(value) ? graph.addInitializer(`${clip.name}_${attribute}`, scalarTensor(value)) : "",
      );
    }
  }
}
