import { entryOf } from "../../entry-of.js";
import { intAttribute, setAttribute } from "../attributes.js";
import {
  TensorProto_DataType as Code,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type TypeProto,
} from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { makeTensor, readTensor } from "../initializer.js";
import { makeNode } from "../node.js";
import { everyNode, subgraphs } from "../traverse.js";
import type { Pass } from "./pass.js";

/**
 * Widens a model in half precision to float32, in which it is quantized and in which CPUs compute. What it is fed and what it gives keep
 * their types, behind Casts. Alone among the passes it moves outputs by more than float32 rounding: by what halves were rounded to on the way.
 */
export const widenHalves: Pass = {
  name: "widen-halves",
  run: ({ graph }) => {
    const changed = [...widenStored(graph), ...widenInputs(graph), ...narrowOutputs(graph)];
    if (changed.length === 0) return [];
    forgetHalves(graph.proto);
    return [{ nodes: [...new Set(changed)], explanation: "widened from half precision to float32" }];
  },
};

const isHalf = (dataType: number) => dataType === Code.FLOAT16 || dataType === Code.BFLOAT16;

/** TensorProto.DataType of a declared tensor; 0 for others. */
function elementType(type: TypeProto | undefined): number {
  return type?.value.case === "tensorType" ? type.value.value.elemType : 0;
}

function widened(tensor: TensorProto): TensorProto {
  return makeTensor(tensor.name, readTensor(tensor));
}

/** Stored tensors, those in attributes too, and what makes halves of other types. Returns the names of the nodes concerned, as the others do. */
function widenStored(graph: Graph): string[] {
  const changed: string[] = [];
  for (const tensor of graph.proto.initializer.filter(({ dataType }) => isHalf(dataType))) {
    changed.push(...graph.uses(tensor.name).map(({ node }) => node.name));
    graph.setInitializer(tensor.name, widened(tensor));
  }
  for (const node of everyNode(graph.proto)) {
    for (const inner of subgraphs(node)) {
      if (!inner.initializer.some(({ dataType }) => isHalf(dataType))) continue;
      inner.initializer = inner.initializer.map((tensor) => (isHalf(tensor.dataType) ? widened(tensor) : tensor));
      changed.push(node.name);
    }
    for (const attribute of node.attribute) {
      if (attribute.t === undefined || !isHalf(attribute.t.dataType)) continue;
      attribute.t = widened(attribute.t);
      changed.push(node.name);
    }
    const attribute = entryOf(typeAttributes, node.opType);
    if (attribute === undefined || !isHalf(intAttribute(node, attribute, 0)) || narrowsOutput(graph, node)) continue;
    setAttribute(node, attribute, BigInt(Code.FLOAT));
    changed.push(node.name);
  }
  return changed;
}

/** The attribute in which an operator names the type it gives. */
const typeAttributes: Readonly<Record<string, string>> = {
  Cast: "to",
  EyeLike: "dtype",
  RandomNormal: "dtype",
  RandomUniform: "dtype",
};

/** Whether a node is the Cast that gives a graph output its half precision, and nothing else. */
function narrowsOutput(graph: Graph, node: NodeProto | undefined): boolean {
  const result = node?.output[0] ?? "";
  const declared = graph.proto.output.find(({ name }) => name === result);
  return node?.opType === "Cast" && isHalf(elementType(declared?.type)) && graph.uses(result).length === 0;
}

function widenInputs(graph: Graph): string[] {
  return graph.proto.input.flatMap(({ name, type }) => {
    if (!isHalf(elementType(type)) || graph.uses(name).every(({ node }) => node.opType === "Cast")) return [];
    const wide = graph.uniqueName(`${name}_float`);
    graph.redirect(name, wide);
    return [insertCast(graph, name, wide, Code.FLOAT)];
  });
}

function narrowOutputs(graph: Graph): string[] {
  return graph.proto.output.flatMap(({ name, type }) => {
    const producer = graph.producer(name);
    if (producer === undefined || !isHalf(elementType(type)) || narrowsOutput(graph, producer)) return [];
    const wide = graph.uniqueName(`${name}_float`);
    graph.setOutput(producer, producer.output.indexOf(name), wide);
    graph.redirect(name, wide);
    return [insertCast(graph, wide, name, elementType(type))];
  });
}

function insertCast(graph: Graph, from: string, to: string, dataType: number): string {
  const cast = makeNode({
    opType: "Cast",
    name: graph.uniqueName(`${to}_Cast`),
    inputs: [from],
    outputs: [to],
    attributes: { to: BigInt(dataType) },
  });
  graph.insert(cast);
  return cast.name;
}

/** What the graph notes about the types of its inner values, and graphs inside it of all of theirs. */
function forgetHalves(graph: GraphProto): void {
  const values = [...graph.valueInfo];
  for (const node of everyNode(graph)) {
    for (const inner of subgraphs(node)) values.push(...inner.input, ...inner.output, ...inner.valueInfo);
  }
  for (const { type } of values) {
    if (type?.value.case === "tensorType" && isHalf(type.value.value.elemType)) type.value.value.elemType = Code.FLOAT;
  }
}
