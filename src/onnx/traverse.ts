import type { GraphProto, ModelProto, NodeProto, TensorProto } from "./generated/onnx_pb.js";

/** How messages name a node: by its name, or by its first output when it has none. */
export function describeNode(node: NodeProto): string {
  return `${node.opType || "node"} "${node.name || node.output.find((name) => name !== "") || ""}"`;
}

/** The graphs that a node's attributes hold (bodies of If, Loop, Scan). */
export function* subgraphs(node: NodeProto): Generator<GraphProto> {
  for (const attribute of node.attribute) {
    if (attribute.g !== undefined) yield attribute.g;
    yield* attribute.graphs;
  }
}

/** Every node of a graph and of the graphs inside it, outer ones first. */
export function* everyNode(graph: GraphProto): Generator<NodeProto> {
  for (const node of graph.node) {
    yield node;
    for (const inner of subgraphs(node)) yield* everyNode(inner);
  }
}

/** Every tensor stored in a model: initializers, sparse initializers and attributes, of subgraphs and functions too. */
export function* everyTensor(model: ModelProto): Generator<TensorProto> {
  if (model.graph !== undefined) yield* graphTensors(model.graph);
  for (const fn of model.functions) {
    for (const node of fn.node) yield* nodeTensors(node);
  }
}

function* graphTensors(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const { values, indices } of graph.sparseInitializer) {
    if (values !== undefined) yield values;
    if (indices !== undefined) yield indices;
  }
  for (const node of graph.node) yield* nodeTensors(node);
}

function* nodeTensors(node: NodeProto): Generator<TensorProto> {
  for (const attribute of node.attribute) {
    if (attribute.t !== undefined) yield attribute.t;
    yield* attribute.tensors;
    if (attribute.g !== undefined) yield* graphTensors(attribute.g);
    for (const graph of attribute.graphs) yield* graphTensors(graph);
  }
}

/**
 * Names that a graph reads but does not define: what a subgraph takes from the graphs around it.
 * A name defined anywhere inside hides the outer one, as ONNX demands single assignment over all nested graphs.
 */
export function capturedNames(graph: GraphProto): Set<string> {
  const defined = definedNames(graph);
  const captured = new Set<string>();
  const read = (name: string) => {
    if (name !== "" && !defined.has(name)) captured.add(name);
  };
  for (const node of graph.node) {
    for (const name of node.input) read(name);
    for (const inner of subgraphs(node)) for (const name of capturedNames(inner)) read(name);
  }
  for (const output of graph.output) read(output.name);
  return captured;
}

/** Names a node needs before it can run: its inputs, and what its subgraphs take from around them. */
export function nodeReads(node: NodeProto): Set<string> {
  const names = new Set(node.input);
  names.delete("");
  for (const inner of subgraphs(node)) for (const name of capturedNames(inner)) names.add(name);
  return names;
}

/** Names that a graph itself defines: inputs, initializers and node outputs. */
export function definedNames(graph: GraphProto): Set<string> {
  const names = new Set<string>();
  for (const { name } of graph.input) names.add(name);
  for (const { name } of graph.initializer) names.add(name);
  for (const { values } of graph.sparseInitializer) names.add(values?.name ?? "");
  for (const node of graph.node) for (const name of node.output) names.add(name);
  names.delete("");
  return names;
}

/** Renames every read of an outer value inside a subgraph, at any depth. */
export function renameCaptured(graph: GraphProto, from: string, to: string): void {
  if (definedNames(graph).has(from)) return;
  for (const node of graph.node) {
    node.input = node.input.map((name) => (name === from ? to : name));
    for (const inner of subgraphs(node)) renameCaptured(inner, from, to);
  }
  for (const output of graph.output) if (output.name === from) output.name = to;
}
