import { intAttribute, intsAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Dim } from "../value-types.js";
import { type CleanContext, nodePass, operands } from "./pass.js";
import { bypass } from "./rewire.js";

/** Why a node's first output equals its first input; undefined when it may not. */
type NoOpRule = (node: NodeProto, context: CleanContext) => string | undefined;

const single: NoOpRule = (node) => (node.input.length === 1 ? "has a single input" : undefined);

/** The output has the shape of the input, so that the elements, kept in order, do too. */
const sameShape: NoOpRule = (node, context) => {
  const from = context.facts.get(node.input[0]!)?.dims;
  const to = context.facts.get(node.output[0]!)?.dims;
  return from !== undefined && to !== undefined && isSameShape(from, to) ? "keeps the shape" : undefined;
};

function isSameShape(from: readonly Dim[], to: readonly Dim[]): boolean {
  if (from.length !== to.length) return false;
  const open = from.flatMap((dim, axis) => (dim !== undefined && dim === to[axis] ? [] : [axis]));
  if (open.length === 0) return true;
  // The element count is the same: where all other sizes agree and none is zero, so does the last one.
  const others = from.filter((_, axis) => !open.includes(axis));
  const [axis] = open;
  const conflict = typeof from[axis!] === "number" && typeof to[axis!] === "number";
  return open.length === 1 && !conflict && others.every((dim) => typeof dim === "number" && dim > 0);
}

const rules: Readonly<Record<string, NoOpRule>> = {
  Identity: () => "copies its input",
  Dropout: (node, { graph }) => {
    const training = node.input[2] ?? "";
    const off = training === "" || graph.constant(training)?.data[0] === 0;
    return off ? "does nothing in inference" : undefined;
  },
  Cast: (node, { facts }) => {
    const to = intAttribute(node, "to", 0);
    return to !== 0 && facts.get(node.input[0]!)?.dataType === to ? "keeps the type" : undefined;
  },
  Transpose: (node) => {
    const permutation = intsAttribute(node, "perm", undefined);
    return permutation?.every((axis, i) => axis === i) ? "keeps the order of axes" : undefined;
  },
  Pad: (node, context) => {
    const pads = operands(node, context).parameters(1, "pads");
    return Array.isArray(pads) && pads.every((pad) => pad === 0) ? "adds nothing" : undefined;
  },
  Concat: single,
  Sum: single,
  Max: single,
  Min: single,
  Reshape: sameShape,
  Flatten: sameShape,
  Expand: (node, { facts }) => {
    const from = facts.get(node.input[0]!)?.dims;
    const to = facts.get(node.output[0]!)?.dims;
    const same = from?.length === to?.length && from?.every((dim, axis) => dim !== undefined && dim === to?.[axis]);
    return same ? "keeps the shape" : undefined;
  },
};

/** Takes out nodes that give back their input. */
export const noOps = nodePass("no-ops", Object.keys(rules), (node, context) => {
  const reason = rules[node.opType]!(node, context);
  return reason !== undefined && bypass(context.graph, node) ? `removed: ${node.opType} ${reason}` : undefined;
});
