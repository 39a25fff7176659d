import { create, toBinary } from "@bufbuild/protobuf";
import { NodeProtoSchema } from "../onnx/generated/onnx_pb.js";
import { Graph } from "../onnx/graph.js";
import { nodeReads } from "../onnx/traverse.js";
import { elementCount, type Tensor } from "../tensor.js";
import type { Subgraph } from "./subgraph.js";

/** Whether a constant's values, not its shape alone, may decide what an engine does: bounds, axes and shapes do, weights do not. */
function decides({ dtype, dims }: Tensor): boolean {
  return elementCount(dims) <= (dtype === "float32" ? 1 : 64);
}

/**
 * A text that is the same for subgraphs that take the same time: the same operators and attributes on tensors of the same shapes, joined in the
 * same way, whatever their names and weights.
 */
export function timingSignature({ model, feeds }: Subgraph): string {
  const graph = new Graph(model);
  const numbers = new Map<string, number>();
  const number = (name: string) => {
    if (name === "") return "";
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `${numbers.get(name)}`;
  };
  const operand = (name: string): string => {
    const fed = feeds[name];
    if (fed !== undefined) return `${number(name)}:${fed.dtype}[${fed.dims}]`;
    const stored = graph.constant(name);
    if (stored === undefined) return `${number(name)}:${graph.initializer(name)?.dims.join()}`;
    return `${number(name)}:${stored.dtype}[${stored.dims}]${decides(stored) ? stored.data.join() : ""}`;
  };
  const written = new Set(graph.nodes.flatMap(({ output }) => output));
  const outside = new Set(graph.nodes.flatMap((node) => [...nodeReads(node)]).filter((name) => !written.has(name)));
  const operands = [...outside].map(operand);
  const lines = graph.nodes.map(({ domain, opType, attribute, input, output }) => {
    const attributes = toBinary(NodeProtoSchema, create(NodeProtoSchema, { attribute }));
    return `${domain}:${opType} ${input.map(number)} > ${output.map(number)} ${attributes.join(" ")}`;
  });
  return [...operands, ...lines, graph.proto.output.map(({ name }) => number(name)).join()].join("\n");
}
