import type { Graph } from "../../../onnx/graph.js";
import type { Quantizer } from "../../../quantizer.js";
import type { Layer } from "../../layers.js";
import type { ChannelAxis, EdgeLayout } from "../../layout.js";
import type { IntegerRegions } from "./regions.js";

/**
 * The reads that are quantized. Integer kernels read codes; a tensor that an integer kernel wrote exists only as codes, so all its
 * readers do. Tensors that float kernels write stay float for float readers.
 */
export function edgesOf(
  graph: Graph,
  layers: readonly Layer[],
  { written, reads }: IntegerRegions,
  isInteger: (layer: Layer) => boolean,
  quantizerOf: (tensor: string) => Quantizer,
): EdgeLayout[] {
  const layerOf = new Map(layers.map((layer) => [layer.node, layer]));
  const edges: EdgeLayout[] = [];
  for (const tensor of written.keys()) {
    const quantizer = quantizerOf(tensor);
    for (const { node, port } of graph.uses(tensor)) {
      const layer = layerOf.get(node.name);
      const edge = { node: node.name, port, tensor, quantizer };
      // Its optimizer WeightBiasQuantization quantizes the weight of a layer between a scalar DequantizeLinear and a QuantizeLinear.
      const channels = layer === undefined || isInteger(layer) ? undefined : inputChannels(layer, port);
      edges.push(channels === undefined ? edge : { ...edge, dequantizePerChannel: channels });
    }
    for (const [port, output] of graph.proto.output.entries()) {
      if (output.name === tensor) edges.push({ node: undefined, port, tensor, quantizer });
    }
  }
  for (const { node, port, tensor } of reads) {
    if (written.has(tensor)) continue;
    const edge = { node, port, tensor, quantizer: quantizerOf(tensor) };
    const pinned = behindFloatPool(graph, layerOf, tensor);
    edges.push(pinned === undefined ? edge : { ...edge, quantizePerChannel: pinned });
  }
  return edges;
}

/** The channels of what a layer reads at a port, as far as they are known. */
function inputChannels({ inputs }: Layer, port: number): ChannelAxis | undefined {
  const input = inputs.find((candidate) => candidate.port === port);
  return input?.channels === undefined ? undefined : { axis: input.channelAxis, size: input.channels };
}

/**
 * The channels of a float MaxPool's result. A QuantizeLinear with a scalar scale would be moved in front of the pool, which then runs
 * on codes that are not yet laid out channels last: by far its slowest kernel. Undefined when nothing tells the number of channels.
 */
function behindFloatPool(graph: Graph, layerOf: ReadonlyMap<string, Layer>, tensor: string): ChannelAxis | undefined {
  if (graph.producer(tensor)?.opType !== "MaxPool") return undefined;
  for (const { node, port } of graph.uses(tensor)) {
    const layer = layerOf.get(node.name);
    const channels = layer && inputChannels(layer, port);
    if (channels !== undefined) return channels;
  }
  return undefined;
}
