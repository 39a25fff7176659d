import { hasWeight, type Layer, type WeightedLayer } from "../export/layers.js";
import { formats, isBlocked, type LayerChoice, type WeightFormat } from "../formats.js";
import { elementCount } from "../tensor.js";

/**
 * Bytes of tensor data that a layer takes in the exported file: its weight as stored, the scales of its channels or blocks, its bias.
 * The file adds node and tensor names, and zero points, which layers share.
 */
export function layerBytes(layer: Layer, choice: LayerChoice): number {
  if (!hasWeight(layer)) return 0;
  const weight = choice.weight === "float" ? 4 * elementCount(layer.weight.dims) : storedBytes(layer, choice.weight);
  // A bias is int32 next to an integer kernel, float otherwise; the former has scales.
  const biasScales = choice.activation === "float" ? 0 : 4;
  return weight + (layer.bias?.length ?? 0) * (4 + biasScales);
}

function storedBytes({ inputs, weight: { dims, channels } }: WeightedLayer, format: WeightFormat): number {
  const { bits, scaled } = formats[format];
  const elements = elementCount(dims);
  if (!isBlocked(format)) return Math.ceil((elements * bits) / 8) + (scaled ? 4 * channels : 0);
  // Every channel ends with a whole block, except of a table; each block has a scale and a zero point, which is packed like the elements.
  const { block } = formats[format];
  const length = elements / channels;
  const blocks = Math.ceil(length / block);
  const packedBytes = (count: number) => Math.ceil((count * bits) / 8);
  return channels * (packedBytes(inputs.length === 0 ? length : blocks * block) + 4 * blocks + packedBytes(blocks));
}
