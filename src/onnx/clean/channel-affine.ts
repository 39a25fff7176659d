import { floatAttribute, intAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { floatConstant } from "./rewire.js";

/** y = factor * x + offset, one pair for each channel, in double precision. */
export interface ChannelAffine {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/** What a BatchNormalization does in inference; undefined when its statistics are not constant or it trains. */
export function batchNormalization(graph: Graph, node: NodeProto): ChannelAffine | undefined {
  if (intAttribute(node, "training_mode", 0) !== 0 || intAttribute(node, "spatial", 1) !== 1) return undefined;
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((port) => floatConstant(graph, node, port));
  if (scale === undefined || bias === undefined || mean === undefined || variance === undefined) return undefined;
  if (new Set([scale.length, bias.length, mean.length, variance.length]).size !== 1) return undefined;
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const factor = Float64Array.from(scale, (value, c) => value / Math.sqrt(variance[c]! + epsilon));
  const offset = Float64Array.from(bias, (value, c) => value - factor[c]! * mean[c]!);
  return { factor, offset };
}
