import type { Layer } from "../export/layers.js";
import { formats, type LayerChoice } from "../formats.js";
import { elementCount } from "../tensor.js";

/**
 * Bytes of tensor data that a layer takes in the exported file: its weight as floats or codes, the scales of its channels, its bias.
 * The file adds node and tensor names, and zero points, which layers share.
 */
export function layerBytes(layer: Layer, choice: LayerChoice): number {
  const weight = Math.ceil((elementCount(layer.weight.dims) * formats[choice.weight].bits) / 8);
  const scales = choice.weight === "float" ? 0 : 4 * layer.weight.channels;
  // A bias is int32 next to an integer kernel, float otherwise; the former has scales.
  const biasScales = choice.activation === "float" ? 0 : 4;
  return weight + scales + (layer.bias?.length ?? 0) * (4 + biasScales);
}
