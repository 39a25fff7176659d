import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { canonicalDomain } from "../onnx/validate.js";
import { elementCount } from "../tensor.js";
import { type LayerOperator, layerOperators } from "./layer-operators.js";

/** A node that multiplies an activation by a stored float weight: what a plan chooses formats for. */
export interface Layer {
  readonly node: string;
  readonly op: string;
  readonly weight: LayerWeight;
  readonly bias: LayerBias | undefined;
  readonly input: LayerInput;
  /** The layer's result, behind its bias. */
  readonly output: string;
  /** Whether it is the plain sum of a product and a bias vector that integer kernels compute. */
  readonly plain: boolean;
  readonly work: LayerWork;
}

export interface LayerWeight {
  readonly initializer: string;
  readonly port: number;
  readonly dims: readonly number[];
  /** Axis along which output channels lie. */
  readonly channelAxis: number;
  readonly channels: number;
}

/** How many multiply-accumulates a layer takes: so many for each element of a tensor. */
export interface LayerWork {
  readonly tensor: string;
  readonly macsPerElement: number;
}

/** A constant added to each output channel, by the layer itself or by an Add that is the only reader of its product. */
export interface LayerBias {
  readonly initializer: string;
  readonly node: string;
  readonly port: number;
  readonly length: number;
}

export interface LayerInput {
  readonly tensor: string;
  readonly port: number;
  /** Axis of the activation that the product sums over, and its size. */
  readonly channelAxis: number;
  readonly channels: number;
}

/** The layers of a model, in graph order. Nodes inside subgraphs are not among them. */
export function findLayers(graph: Graph): Layer[] {
  return graph.nodes.flatMap((node) => [layerOf(graph, node) ?? [], stateLayerOf(graph, node) ?? []].flat());
}

/**
 * The product of a recurrent node's state with a stored weight, named after the node. Its format says nothing of the node's other weight, and it
 * is computed as often as the node's input has rows.
 */
function stateLayerOf(graph: Graph, node: NodeProto): Layer | undefined {
  const operator = operatorOf(node);
  if (operator?.stateWeightPort === undefined) return undefined;
  const layer = layerOf(graph, node, operator.stateWeightPort);
  const inputs = graph.initializer(node.input[operator.weightPort]!)?.dims.at(-1);
  if (layer === undefined || inputs === undefined) return undefined;
  const { tensor } = layer.work;
  return {
    ...layer,
    node: `${node.name}:state`,
    work: { tensor, macsPerElement: elementCount(layer.weight.dims) / Number(inputs) },
  };
}

function operatorOf(node: NodeProto): LayerOperator | undefined {
  return canonicalDomain(node.domain) === "" ? layerOperators[node.opType] : undefined;
}

function layerOf(graph: Graph, node: NodeProto, port = operatorOf(node)?.weightPort): Layer | undefined {
  const operator = operatorOf(node);
  if (operator === undefined || port === undefined) return undefined;
  const initializer = node.input[port]!;
  const weight = graph.constant(initializer);
  const tensor = node.input[0]!;
  if (weight?.dtype !== "float32" || graph.constant(tensor) !== undefined) return undefined;
  if (operator.rank !== undefined && weight.dims.length !== operator.rank) return undefined;
  const { dims } = weight;
  const shape = operator.shape(node, dims);
  const channels = dims[shape.weightAxis]!;
  const bias = biasOf(graph, node, operator, channels, shape.biasLength);
  return {
    node: node.name,
    op: node.opType,
    weight: { initializer, port, dims, channelAxis: shape.weightAxis, channels },
    bias: bias.bias,
    input: { tensor, port: 0, channelAxis: shape.inputAxis, channels: shape.inputChannels },
    output: bias.output,
    plain: shape.plain && bias.plain,
    work:
      shape.worksPer === "output"
        ? { tensor: node.output[0]!, macsPerElement: elementCount(dims) / channels }
        : { tensor, macsPerElement: elementCount(dims) / shape.inputChannels },
  };
}

interface FoundBias {
  readonly bias: LayerBias | undefined;
  readonly output: string;
  readonly plain: boolean;
}

/** Of an operator with several outputs the first that something can read. */
function firstOutput(node: NodeProto): string {
  return node.output.find((name) => name !== "") ?? "";
}

function biasOf(graph: Graph, node: NodeProto, operator: LayerOperator, channels: number, length: number): FoundBias {
  // Behind a recurrent node's products there are functions, not its output.
  if (operator.stateWeightPort !== undefined) return { bias: undefined, output: firstOutput(node), plain: true };
  if (operator.biasPort === undefined) return addedBias(graph, node, channels);
  return ownBias(graph, node, operator.biasPort, length);
}

function ownBias(graph: Graph, node: NodeProto, port: number, length: number): FoundBias {
  const initializer = node.input[port] ?? "";
  const output = node.output[0]!;
  if (initializer === "") return { bias: undefined, output, plain: true };
  const isVector = isFloatVector(graph, initializer, length);
  return { bias: isVector ? { initializer, node: node.name, port, length } : undefined, output, plain: isVector };
}

function addedBias(graph: Graph, node: NodeProto, length: number): FoundBias {
  const output = node.output[0]!;
  const use = graph.soleUse(output);
  if (use?.node.opType === "Add" && canonicalDomain(use.node.domain) === "") {
    const port = 1 - use.port;
    const initializer = use.node.input[port]!;
    if (isFloatVector(graph, initializer, length)) {
      const bias = { initializer, node: use.node.name, port, length };
      return { bias, output: use.node.output[0]!, plain: true };
    }
  }
  return { bias: undefined, output, plain: true };
}

function isFloatVector(graph: Graph, name: string, length: number): boolean {
  const value = graph.constant(name);
  return value?.dtype === "float32" && value.dims.length === 1 && value.dims[0] === length;
}
