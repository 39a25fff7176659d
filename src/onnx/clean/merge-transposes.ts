import { intsAttribute, setAttribute } from "../attributes.js";
import { nodePass } from "./pass.js";

/** Makes one Transpose of two in a row; the result may turn out to do nothing. */
export const mergeTransposes = nodePass("merge-transposes", ["Transpose"], (node, { graph }) => {
  const first = graph.producer(node.input[0]!);
  if (first?.opType !== "Transpose") return undefined;
  const outer = intsAttribute(node, "perm", undefined);
  const inner = intsAttribute(first, "perm", undefined);
  if (outer === undefined || inner === undefined || inner.length !== outer.length) return undefined;
  setAttribute(
    node,
    "perm",
    outer.map((axis) => BigInt(inner[axis] ?? axis)),
  );
  graph.setInput(node, 0, first.input[0]!);
  return { nodes: [first.name, node.name], explanation: "joined two transposes" };
});
