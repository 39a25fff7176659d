import { elementCount, type Tensor } from "../../tensor.js";
import { floatAttribute, intAttribute, removeAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { batchNormalization, type ChannelAffine } from "./channel-affine.js";
import { nodePass } from "./pass.js";
import { bypass, replaceConstant } from "./rewire.js";

/** A layer's weight scaled per output channel, and its new bias; undefined when its shape does not allow it. */
type Fold = (graph: Graph, layer: NodeProto, weight: FloatTensor, affine: ChannelAffine) => Folded | undefined;

type FloatTensor = Extract<Tensor, { dtype: "float32" }>;

interface Folded {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** Conv [M, C/group, k...]: the output channel comes first. */
const foldConv: Fold = (graph, layer, weight, affine) => {
  const run = elementCount(weight.dims.slice(1));
  if (weight.dims[0] !== affine.factor.length) return undefined;
  const bias = layerBias(graph, layer, affine.factor.length);
  return bias && scale(weight, (i) => Math.floor(i / run), bias, affine);
};

/** ConvTranspose [C, M/group, k...]: the group follows from the input channel, the place in it from the second axis. */
const foldConvTranspose: Fold = (graph, layer, weight, affine) => {
  const [inputs, perGroup] = [weight.dims[0]!, weight.dims[1]!];
  const group = intAttribute(layer, "group", 1);
  if (perGroup * group !== affine.factor.length) return undefined;
  const bias = layerBias(graph, layer, affine.factor.length);
  const run = elementCount(weight.dims.slice(2));
  const channel = (i: number) => {
    const row = Math.floor(i / run);
    return Math.floor((Math.floor(row / perGroup) * group) / inputs) * perGroup + (row % perGroup);
  };
  return bias && scale(weight, channel, bias, affine);
};

/** Gemm alpha A B + beta C: the column of B, or its row when transposed. beta goes into the new bias. */
const foldGemm: Fold = (graph, layer, weight, affine) => {
  const transposed = intAttribute(layer, "transB", 0) !== 0;
  const [rows, columns] = [weight.dims[0]!, weight.dims[1]!];
  if ((transposed ? rows : columns) !== affine.factor.length) return undefined;
  const bias = layerBias(graph, layer, affine.factor.length);
  const beta = floatAttribute(layer, "beta", 1);
  const channel = transposed ? (i: number) => Math.floor(i / columns) : (i: number) => i % columns;
  return (
    bias &&
    scale(
      weight,
      channel,
      bias.map((value) => beta * value),
      affine,
    )
  );
};

const folds: Readonly<Record<string, Fold>> = { Conv: foldConv, ConvTranspose: foldConvTranspose, Gemm: foldGemm };

function scale(
  weight: FloatTensor,
  channel: (index: number) => number,
  bias: Float64Array,
  { factor, offset }: ChannelAffine,
): Folded {
  return {
    weight: weight.data.map((value, i) => value * factor[channel(i)]!),
    bias: Float32Array.from(bias, (value, c) => value * factor[c]! + offset[c]!),
  };
}

/** The bias of a layer, zeros when it has none; undefined when it is computed or is not one value for each channel. */
function layerBias(graph: Graph, layer: NodeProto, channels: number): Float64Array | undefined {
  const name = layer.input[2] ?? "";
  if (name === "") return new Float64Array(channels);
  const bias = graph.constant(name);
  if (bias?.dtype !== "float32") return undefined;
  if (bias.data.length === 1) return new Float64Array(channels).fill(bias.data[0]!);
  const isVector = bias.dims.at(-1) === channels && bias.data.length === channels;
  return isVector ? Float64Array.from(bias.data) : undefined;
}

/**
 * Folds a BatchNormalization into the convolution or matrix product in front of it: scale and shift go into weight and bias,
 * computed in double precision and rounded once. Only where nothing else sees what lies between the two.
 */
export const foldBatchNormalization = nodePass(
  "fold-batch-normalization",
  ["BatchNormalization"],
  (node, { graph }) => {
    const layer = graph.producer(node.input[0]!);
    const fold = layer && folds[layer.opType];
    if (fold === undefined || graph.soleUse(node.input[0]!) === undefined) return undefined;
    const affine = batchNormalization(graph, node);
    const weight = graph.constant(layer!.input[1]!);
    if (affine === undefined || weight?.dtype !== "float32") return undefined;
    const folded = fold(graph, layer!, weight, affine);
    if (folded === undefined || !bypass(graph, node)) return undefined;
    replaceConstant(graph, layer!, 1, `${layer!.name}_weight`, { ...weight, data: folded.weight });
    const bias = { dtype: "float32", dims: [folded.bias.length], data: folded.bias } as const;
    replaceConstant(graph, layer!, 2, `${layer!.name}_bias`, bias);
    removeAttribute(layer!, "beta");
    return {
      nodes: [node.name, layer!.name],
      explanation: `folded into the weight and bias of ${layer!.opType} ${layer!.name}`,
    };
  },
);
