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

/** A part of a graph that runs after the one before it. */
export interface SequentialPart {
  /** Consecutive, in graph order. */
  readonly nodes: readonly NodeProto[];
  /** Names of its layers, in graph order; at least one, except in a graph without layers. */
  readonly layers: readonly string[];
  /** The data tensors that leave it, or pass by it, for the parts behind: one wherever possible. None for the last part. */
  readonly cuts: readonly string[];
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

/** What is under way between one node and the next. */
interface Crossing {
  /** Data tensors that are still to be read. */
  readonly open: readonly string[];
  /**
   * How many tensors a cut there would go through; layers that read no other layer's data all start at the graph's inputs, so each that is still to come
   * stands for one more.
   */
  readonly width: number;
}

/**
 * The crossings behind each node, undefined where the node computes no data. What reads a shape does not read data, nor does what depends
 * on no layer; an output of the graph is not waited for. Where the width is one, everything between layers goes through one tensor: without
 * it no data comes from any layer before to any node behind.
 *
 * One walk in graph order with a running count of the reads to come: O(nodes + edges), and the open tensors.
 * @param graph - Its nodes are in topological order.
 */
export function crossings(graph: Graph, layers: ReadonlySet<string>): readonly (Crossing | undefined)[] {
  const roles = tensorRoles(graph, layers);
  const isData = (name: string) => roles.get(name) === "data";
  const readsOf = graph.nodes.map((node) => (node.output.some(isData) ? [...nodeReads(node)].filter(isData) : []));
  const unread = new Map<string, number>();
  for (const name of readsOf.flat()) unread.set(name, (unread.get(name) ?? 0) + 1);
  const isStart = (at: number) => layers.has(graph.nodes[at]!.name) && readsOf[at]!.length === 0;
  let starts = graph.nodes.filter((_, at) => isStart(at)).length;
  const open = new Set<string>();
  return graph.nodes.map((node, at) => {
    for (const name of readsOf[at]!) {
      const left = unread.get(name)! - 1;
      unread.set(name, left);
      if (left === 0) open.delete(name);
    }
    if (isStart(at)) starts--;
    for (const name of node.output) if (unread.has(name)) open.add(name);
    return node.output.some(isData) ? { open: [...open], width: open.size + starts } : undefined;
  });
}

/**
 * Splits a graph into a chain of parts, cut where everything goes through one tensor. A cut lies right in front of a layer, so that activation
 * functions, pools and sums run with the layers before them, which engines fuse them into. A part that is too large is split further
 * where the fewest tensors are open.
 * @param graph - Its nodes are in topological order.
 * @param layers - Names of the nodes whose formats are chosen.
 * @param isSmall - Whether these layers may make one part; a layer alone always does.
 */
export function partition(
  graph: Graph,
  layers: ReadonlySet<string>,
  isSmall: (layers: readonly string[]) => boolean = () => true,
): SequentialPart[] {
  const crossing = crossings(graph, layers);
  const partOf = (from: number, to: number): SequentialPart => {
    const nodes = graph.nodes.slice(from, to);
    const names = nodes.map(({ name }) => name).filter((name) => layers.has(name));
    return { nodes, layers: names, cuts: to < graph.nodes.length ? crossing[lastData(to)]!.open : [] };
  };
  const lastData = (end: number): number => {
    let at = end - 1;
    while (crossing[at] === undefined) at--;
    return at;
  };
  const split = (from: number, to: number, width: number): SequentialPart[] =>
    ranges(graph, layers, crossing, from, to, width).flatMap(([start, end]) => {
      const part = partOf(start, end);
      return part.layers.length < 2 || isSmall(part.layers) ? [part] : split(start, end, width + 1);
    });
  return split(0, graph.nodes.length, 1);
}

/** Cuts a range of nodes behind the last crossing of at most that width in front of each layer but the first. */
function ranges(
  graph: Graph,
  layers: ReadonlySet<string>,
  crossing: readonly (Crossing | undefined)[],
  from: number,
  to: number,
  width: number,
): [from: number, to: number][] {
  const found: [number, number][] = [];
  let start = from;
  let hasLayer = false;
  let cut: number | undefined;
  for (let at = from; at < to; at++) {
    if (layers.has(graph.nodes[at]!.name)) {
      if (hasLayer && cut !== undefined) {
        found.push([start, cut]);
        start = cut;
      }
      hasLayer = true;
      cut = undefined;
    }
    const here = crossing[at];
    if (here !== undefined && here.open.length > 0 && here.width <= width) cut = at + 1;
  }
  return [...found, [start, to]];
}
