import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { nodeReads } from "../onnx/traverse.js";

/**
 * What a tensor carries between layers.
 *
 * - `data`: depends on some layer, so it is where the formats of layers meet.
 * - `side`: depends on the graph's inputs and on no layer (masks, embeddings, positions).
 * - `shape`: follows from the shapes of tensors alone.
 * - `constant`: the same in every run.
 */
export type TensorRole = "data" | "side" | "shape" | "constant";

/** A part of a graph that runs after the one before it: consecutive nodes, joined to the others by one data tensor on each side. */
export interface SequentialPart {
  /** In graph order. */
  readonly nodes: readonly NodeProto[];
  /** Names of its layers, in graph order; at least one, except in a graph without layers. */
  readonly layers: readonly string[];
  /** The data tensor that leaves it for the next part; undefined for the last one. */
  readonly cut: string | undefined;
}

/** The role of every tensor that a node of the graph writes; one that is not listed is an input (`side`) or an initializer (`constant`). */
export function tensorRoles(graph: Graph, layers: ReadonlySet<string>): ReadonlyMap<string, TensorRole> {
  const roles = new Map<string, TensorRole>();
  for (const node of graph.nodes) {
    const role = roleOf(graph, roles, layers, node);
    for (const name of node.output) if (name !== "") roles.set(name, role);
  }
  return roles;
}

function roleOf(
  graph: Graph,
  known: ReadonlyMap<string, TensorRole>,
  layers: ReadonlySet<string>,
  node: NodeProto,
): TensorRole {
  if (layers.has(node.name)) return "data";
  const read = new Set(
    [...nodeReads(node)].map((name) => known.get(name) ?? (graph.isInput(name) ? "side" : "constant")),
  );
  const takesShape = node.opType === "Shape" || node.opType === "Size";
  if (read.has("data")) return takesShape ? "shape" : "data";
  if (read.has("side")) return takesShape ? "shape" : "side";
  return read.has("shape") ? "shape" : "constant";
}

/**
 * The tensors that everything between layers goes through: without one of them no data comes from any layer before it to any node
 * behind it. What reads a shape is no path, nor is what depends on no layer; an output of the graph ends one.
 *
 * One walk in graph order with a running count of the data tensors that are still to be read: O(nodes + edges).
 * @param graph - Its nodes are in topological order.
 * @returns By the index of the node behind which the graph can be cut.
 */
export function cutTensors(graph: Graph, layers: ReadonlySet<string>): ReadonlyMap<number, string> {
  const roles = tensorRoles(graph, layers);
  const isData = (name: string) => roles.get(name) === "data";
  const readsOf = graph.nodes.map((node) => (node.output.some(isData) ? [...nodeReads(node)].filter(isData) : []));
  const unread = new Map<string, number>();
  for (const name of readsOf.flat()) unread.set(name, (unread.get(name) ?? 0) + 1);
  // Layers that read no other layer's data all start at the graph's inputs: until the last has run, a path leads around any tensor.
  let starts = graph.nodes.filter(({ name }, at) => layers.has(name) && readsOf[at]!.length === 0).length;
  const open = new Set<string>();
  const cuts = new Map<number, string>();
  for (const [at, node] of graph.nodes.entries()) {
    for (const name of readsOf[at]!) {
      const left = unread.get(name)! - 1;
      unread.set(name, left);
      if (left === 0) open.delete(name);
    }
    if (layers.has(node.name) && readsOf[at]!.length === 0) starts--;
    for (const name of node.output) if (unread.has(name)) open.add(name);
    if (starts === 0 && open.size === 1 && node.output.some(isData)) cuts.set(at, [...open][0]!);
  }
  return cuts;
}

/**
 * Splits a graph into a chain of parts, each with as few layers as the cuts allow. A cut lies right in front of a layer, so that
 * activation functions, pools and sums run with the layers before them, which engines fuse them into.
 * @param graph - Its nodes are in topological order.
 * @param layers - Names of the nodes whose formats are chosen.
 */
export function partition(graph: Graph, layers: ReadonlySet<string>): SequentialPart[] {
  const cuts = cutTensors(graph, layers);
  const parts: SequentialPart[] = [];
  let start = 0;
  let inside: string[] = [];
  let last: number | undefined;
  const close = (end: number, cut: string | undefined) => {
    parts.push({ nodes: graph.nodes.slice(start, end), layers: inside, cut });
    start = end;
    inside = [];
  };
  for (const [at, { name }] of graph.nodes.entries()) {
    if (layers.has(name)) {
      if (inside.length > 0 && last !== undefined) close(last + 1, cuts.get(last));
      inside.push(name);
      last = undefined;
    }
    if (cuts.has(at)) last = at;
  }
  close(graph.nodes.length, undefined);
  return parts;
}
