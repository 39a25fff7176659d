import { entryOf } from "../entry-of.js";
import { type NodeProto, TensorProto_DataType } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { stateName } from "../onnx/state-name.js";
import { nodeReads } from "../onnx/traverse.js";
import { canonicalDomain } from "../onnx/validate.js";
import { elementCount } from "../tensor.js";
import { type LayerOperator, layerOperators } from "./layer-operators.js";
import { tableOf } from "./tables.js";
import { tieCopies } from "./tied-copies.js";

/**
 * What a plan chooses formats for: a node that multiplies an activation by a stored float weight or by another activation, or that reads
 * the rows of a stored table.
 */
export interface Layer {
  readonly node: string;
  readonly op: string;
  /** Absent where two activations are multiplied. */
  readonly weight: LayerWeight | undefined;
  readonly bias: LayerBias | undefined;
  /** The activations that it multiplies: one next to a weight, two without a weight, none where the weight is a table. */
  readonly inputs: readonly LayerInput[];
  /** The layer's result, behind its bias. */
  readonly output: string;
  /** Whether it is the plain sum of a product and a bias vector that integer kernels compute. */
  readonly plain: boolean;
  readonly work: LayerWork;
}

export interface LayerWeight {
  readonly initializer: string;
  /** The table that this is a transposed copy of, as exporters make one for tied matrices: the file holds the table alone. */
  readonly copyOf?: string;
  readonly port: number;
  readonly dims: readonly number[];
  /** Axis along which output channels lie: the rows, of a table. */
  readonly channelAxis: number;
  readonly channels: number;
}

/** How many multiply-accumulates a layer takes: so many for each element of a tensor. */
export interface LayerWork {
  readonly tensor: string;
  readonly macsPerElement: number;
  /** Size that they are multiplied by besides, where no weight tells it. */
  readonly size?: { readonly tensor: string; readonly axis: number };
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
  /** Axis of the activation that the product sums over. */
  readonly channelAxis: number;
  /** Its size; undefined where no weight tells it. */
  readonly channels: number | undefined;
}

/** A layer that has a weight. */
export type WeightedLayer = Layer & { readonly weight: LayerWeight };

export function hasWeight<L extends Layer>(layer: L): layer is L & WeightedLayer {
  return layer.weight !== undefined;
}

/** The initializer that holds a weight in the file. */
export function storedIn({ initializer, copyOf }: LayerWeight): string {
  return copyOf ?? initializer;
}

/** The layers of a model, in graph order. Nodes inside subgraphs are not among them. */
export function findLayers(graph: Graph): Layer[] {
  const fed = fedValues(graph);
  const products = new Map(
    graph.nodes
      .flatMap((node) => productsOf(graph, node))
      // A constant that is computed at load is no activation: nothing is gained by narrowing it, and no derivative reaches it.
      .filter(({ inputs }) => inputs.every(({ tensor }) => fed.has(tensor)))
      .map((layer) => [layer.node, layer]),
  );
  const layers = graph.nodes.flatMap((node) => {
    const own = products.get(node.name) ?? tableOf(graph, node, products);
    return [own, products.get(stateName(node.name))].filter((layer) => layer !== undefined);
  });
  return tieCopies(graph, layers);
}

/** Names of the values that depend on what the graph is fed. */
function fedValues(graph: Graph): Set<string> {
  const fed = new Set(graph.proto.input.map(({ name }) => name));
  for (const node of graph.nodes) {
    if ([...nodeReads(node)].some((name) => fed.has(name))) for (const name of node.output) fed.add(name);
  }
  return fed;
}

function productsOf(graph: Graph, node: NodeProto): Layer[] {
  const own = productOf(graph, node) ?? activationProductOf(graph, node);
  return [own, stateLayerOf(graph, node)].filter((layer) => layer !== undefined);
}

/**
 * The product of a recurrent node's state with a stored weight, named after the node. Its format says nothing of the node's other weight, and it
 * is computed as often as the node's input has rows.
 */
function stateLayerOf(graph: Graph, node: NodeProto): Layer | undefined {
  const operator = operatorOf(node);
  if (operator?.stateWeightPort === undefined) return undefined;
  const layer = productOf(graph, node, operator.stateWeightPort);
  const inputs = graph.initializer(node.input[operator.weightPort]!)?.dims.at(-1);
  if (layer === undefined || inputs === undefined) return undefined;
  const { tensor } = layer.work;
  return {
    ...layer,
    node: stateName(node.name),
    work: { tensor, macsPerElement: elementCount(layer.weight.dims) / Number(inputs) },
  };
}

function operatorOf(node: NodeProto): LayerOperator | undefined {
  return canonicalDomain(node.domain) === "" ? entryOf(layerOperators, node.opType) : undefined;
}

function productOf(graph: Graph, node: NodeProto, port = operatorOf(node)?.weightPort): WeightedLayer | undefined {
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
    inputs: [{ tensor, port: 0, channelAxis: shape.inputAxis, channels: shape.inputChannels }],
    output: bias.output,
    plain: shape.plain && bias.plain,
    work:
      shape.worksPer === "output"
        ? { tensor: node.output[0]!, macsPerElement: elementCount(dims) / channels }
        : { tensor, macsPerElement: elementCount(dims) / shape.inputChannels },
  };
}
/** A product of two activations, such as those of attention. */
function activationProductOf(graph: Graph, node: NodeProto): Layer | undefined {
  if (node.opType !== "MatMul" || canonicalDomain(node.domain) !== "") return undefined;
  const [left, right] = node.input as [string, string];
  if ([left, right].some((name) => graph.initializer(name) !== undefined || isOtherInput(graph, name)))
    return undefined;
  return {
    node: node.name,
    op: node.opType,
    weight: undefined,
    bias: undefined,
    inputs: [
      { tensor: left, port: 0, channelAxis: -1, channels: undefined },
      { tensor: right, port: 1, channelAxis: -2, channels: undefined },
    ],
    output: node.output[0]!,
    plain: true,
    work: { tensor: node.output[0]!, macsPerElement: 1, size: { tensor: left, axis: -1 } },
  };
}

/** Whether a value is an input of the graph that holds something else than float32. */
function isOtherInput(graph: Graph, name: string): boolean {
  const input = graph.proto.input.find((candidate) => candidate.name === name);
  return input?.type?.value.case === "tensorType" && input.type.value.value.elemType !== TensorProto_DataType.FLOAT;
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
  // A matrix of one row is added like a vector.
  const isRow = value?.dims.length === 1 || (value?.dims.length === 2 && value.dims[0] === 1);
  return value?.dtype === "float32" && isRow && value.dims.at(-1) === length;
}
