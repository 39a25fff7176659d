import type { Quantizer } from "../quantizer.js";
import { elementCount, type TensorOf } from "../tensor.js";
import type { Layer } from "./layers.js";

/** A weight for which a quantizer is wanted. */
export interface WeightRequest {
  readonly layer: Layer;
  readonly weight: TensorOf<"float32">;
  /** Codes are symmetric, [-limit, limit]: 127 for int8, 63 for int8 of reduced range, 7 for int4. */
  readonly limit: number;
}

/** Scales of a weight, one for each output channel. */
export type WeightScales = (request: WeightRequest) => Float32Array;

/** Scales that just cover each channel: max |w| / limit. */
export const minmaxScales: WeightScales = ({ layer, weight, limit }) => {
  const { channels, channelAxis } = layer.weight;
  const inner = elementCount(weight.dims.slice(channelAxis + 1));
  const largest = new Float32Array(channels);
  for (let i = 0; i < weight.data.length; i++) {
    const channel = Math.floor(i / inner) % channels;
    largest[channel] = Math.max(largest[channel]!, Math.abs(weight.data[i]!));
  }
  return largest.map((peak) => peak / limit);
};

/** The symmetric quantizer per output channel with these scales. */
export function weightQuantizer(bits: 8 | 4, limit: number, axis: number, scales: Float32Array): Quantizer {
  return {
    bits,
    signed: true,
    qmin: -limit,
    qmax: limit,
    granularity: { kind: "channel", axis },
    scales,
    zeroPoints: new Int32Array(scales.length),
  };
}
