import { entryOf } from "../entry-of.js";
import { intAttribute } from "../onnx/attributes.js";
import type { NodeProto, TensorProto } from "../onnx/generated/onnx_pb.js";
import type { Graph, Use } from "../onnx/graph.js";
import { canonicalDomain } from "../onnx/validate.js";
import { elementCount } from "../tensor.js";
import type { Layer } from "./layers.js";

/** Operators that pass the elements of a stored tensor on, or add them to an activation, by the ports where they read it. */
const readers: Readonly<Record<string, readonly number[]>> = {
  Gather: [0],
  Slice: [0],
  Add: [0, 1],
  Sub: [0, 1],
};

/** What is smaller is left alone: names and scales would take up what narrow elements save. */
export const fewestElements = 1024;

/**
 * The node as a reader of a stored table, such as an embedding: nothing is multiplied, but the bytes of the table are there to be saved.
 * @param products - The layers that multiply by weights, by their nodes.
 */
export function tableOf(graph: Graph, node: NodeProto, products: ReadonlyMap<string, Layer>): Layer | undefined {
  const port = portsOf(node).find((candidate) => isTable(graph, node.input[candidate] ?? "", products));
  if (port === undefined) return undefined;
  const initializer = node.input[port]!;
  const { dims } = graph.constant(initializer)!;
  const channelAxis = rowAxis(node, dims);
  return {
    node: node.name,
    op: node.opType,
    weight: { initializer, port, dims, channelAxis, channels: dims[channelAxis]! },
    bias: undefined,
    inputs: [],
    output: node.output[0]!,
    plain: false,
    work: { tensor: node.output[0]!, macsPerElement: 0 },
  };
}

function portsOf(node: NodeProto): readonly number[] {
  return (canonicalDomain(node.domain) === "" ? entryOf(readers, node.opType) : undefined) ?? [];
}

/** Rows of a Gather are what it takes; of other tables the last axis varies the most. */
function rowAxis(node: NodeProto, dims: readonly number[]): number {
  if (node.opType !== "Gather") return dims.length - 1;
  const axis = intAttribute(node, "axis", 0);
  return axis < 0 ? axis + dims.length : axis;
}

function isTable(graph: Graph, name: string, products: ReadonlyMap<string, Layer>): boolean {
  const stored = graph.initializer(name);
  const value = graph.constant(name);
  if (stored === undefined || value?.dtype !== "float32") return false;
  if (value.dims.length < 2 || elementCount(value.dims) < fewestElements) return false;
  const isRead = ({ node, port }: Use) =>
    portsOf(node).includes(port) || products.get(node.name)?.weight?.port === port;
  if (!graph.uses(name).every(isRead)) return false;
  const known = finite.get(stored) ?? (value.data as Float32Array).every(Number.isFinite);
  finite.set(stored, known);
  return known;
}

/** Whether the elements of a stored tensor are finite: large ones are looked through once. */
const finite = new WeakMap<TensorProto, boolean>();
