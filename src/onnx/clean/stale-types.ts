import type { GraphProto } from "../generated/onnx_pb.js";
import { definedNames } from "../traverse.js";

/** Drops what a graph notes about values that it no longer has. */
export function dropStaleTypes(graph: GraphProto): void {
  const names = definedNames(graph);
  graph.valueInfo = graph.valueInfo.filter(({ name }) => names.has(name));
  graph.quantizationAnnotation = graph.quantizationAnnotation.filter(({ tensorName }) => names.has(tensorName));
}
