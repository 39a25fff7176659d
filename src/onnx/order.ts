import { BitwrightError } from "../errors.js";
import type { NodeProto } from "./generated/onnx_pb.js";
import { describeNode, nodeReads } from "./traverse.js";

/**
 * Nodes in an order in which each comes after what it reads. Nodes that are in such an order already keep it.
 * @throws BitwrightError `invalid-model` when there is none, because the graph has a cycle.
 */
export function topologicalOrder(nodes: readonly NodeProto[]): NodeProto[] {
  const producers = new Map<string, NodeProto>();
  for (const node of nodes) for (const name of node.output) producers.set(name, node);

  const order: NodeProto[] = [];
  const placed = new Set<NodeProto>();
  // Depth first with a stack of its own: a chain of nodes may be longer than the call stack is deep.
  const path = new Set<NodeProto>();
  const stack: { node: NodeProto; reads: Iterator<string> }[] = [];
  const enter = (node: NodeProto) => {
    path.add(node);
    stack.push({ node, reads: nodeReads(node).values() });
  };
  for (const root of nodes) {
    if (!placed.has(root)) enter(root);
    while (stack.length > 0) {
      const { node, reads } = stack.at(-1)!;
      const next = reads.next();
      if (next.done) {
        stack.pop();
        path.delete(node);
        placed.add(node);
        order.push(node);
        continue;
      }
      const source = producers.get(next.value);
      if (source === undefined || placed.has(source)) continue;
      if (path.has(source)) {
        throw new BitwrightError("invalid-model", "the graph has a cycle", {
          where: describeNode(source),
          expected: "nodes that can be put in an order",
          received: "a node that needs its own output",
        });
      }
      enter(source);
    }
  }
  return order;
}
