import { create, toBinary } from "@bufbuild/protobuf";
import { type NodeProto, NodeProtoSchema } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { nodeReads } from "../onnx/traverse.js";
import { elementCount, type Tensor } from "../tensor.js";
import type { SubgraphBorder } from "./subgraph.js";

/** Whether a constant's values, not its shape alone, may decide what an engine does: bounds, axes and shapes do, weights do not. */
function decides({ dtype, dims }: Tensor): boolean {
  return elementCount(dims) <= (dtype === "float32" ? 1 : 64);
}

/**
 * A text that is the same for runs of nodes that take the same time: the same operators and attributes on tensors of the same shapes, joined in the
 * same way, whatever their names and weights.
 * @param values - Of the border's inputs and shapes.
 */
export function timingSignature(
  graph: Graph,
  nodes: readonly NodeProto[],
  border: SubgraphBorder,
  values: ReadonlyMap<string, Tensor>,
): string {
  const numbers = new Map<string, number>();
  const numberOf = (name: string) => {
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  };
  const describe = (name: string): string => {
    const stored = graph.constant(name) ?? values.get(name);
    if (stored === undefined) return `${numberOf(name)}:${graph.initializer(name)?.dims.join()}`;
    const { dtype, dims, data } = stored;
    const content = !border.inputs.includes(name) && decides(stored) ? data.join() : "";
    return `${numberOf(name)}:${dtype}[${dims}]${content}`;
  };
  const written = new Set(nodes.flatMap(({ output }) => output));
  const outside = new Set(nodes.flatMap((node) => [...nodeReads(node)]).filter((name) => !written.has(name)));
  const number = (name: string) => (name === "" ? "" : numberOf(name));
  const operands = [...outside].map(describe);
  const lines = nodes.map(({ domain, opType, attribute, input, output }) => {
    const attributes = toBinary(NodeProtoSchema, create(NodeProtoSchema, { attribute }));
    return `${domain}:${opType} ${input.map(number)} > ${output.map(number)} ${attributes.join(" ")}`;
  });
  return [...operands, ...lines, `${border.outputs.map(numberOf)}`].join("\n");
}
