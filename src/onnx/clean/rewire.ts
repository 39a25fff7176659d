import type { Tensor } from "../../tensor.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";

/**
 * Takes out a node whose first output equals one of its inputs.
 * @returns false, and leaves all as it is, when the output's name must stay because it leaves the graph and the input's name
 *   must stay too (it is a graph input, an initializer or another output of the graph).
 */
export function bypass(graph: Graph, node: NodeProto, port = 0): boolean {
  const source = node.input[port]!;
  const result = node.output[0]!;
  if (!graph.isOutput(result)) {
    graph.remove(node);
    graph.redirect(result, source);
    return true;
  }
  const producer = graph.producer(source);
  if (producer === undefined || graph.isOutput(source)) return false;
  graph.remove(node);
  graph.setOutput(producer, producer.output.indexOf(source), result);
  graph.redirect(source, result);
  return true;
}

/** Gives an input port a new constant: in place of the old one when nothing else reads that, else under a name of its own. */
export function replaceConstant(graph: Graph, node: NodeProto, port: number, base: string, tensor: Tensor): void {
  const old = node.input[port] ?? "";
  if (old !== "" && graph.initializer(old) !== undefined && graph.soleUse(old) !== undefined) {
    graph.setInitializer(old, tensor);
    return;
  }
  graph.setInput(node, port, graph.addInitializer(old === "" ? base : old, tensor));
}

/** The float32 elements of a constant that a port reads; undefined when it reads none or another type. */
export function floatConstant(graph: Graph, node: NodeProto, port: number): Float32Array | undefined {
  const tensor = graph.constant(node.input[port] ?? "");
  return tensor?.dtype === "float32" ? tensor.data : undefined;
}
