import { BitwrightError } from "../errors.js";
import { formats, isFloating, type WeightFormat } from "../formats.js";
import type { Quantizer, WeightQuantizer } from "../quantizer.js";
import { elementCount, type TensorOf } from "../tensor.js";
import type { Layer } from "./layers.js";
import { largestFloat } from "./narrow-floats.js";

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

/** A weight on the symmetric grid of a format. */
export interface RoundedWeight {
  /** One for each output channel. */
  readonly scales: Float32Array;
  /** Whole multiples of the scales, shaped like the weight. */
  readonly values: Float32Array;
}

/** What weights become in a format where rounding each element by itself is not the best; the same object at every call. */
export type RoundedWeights = (layer: Layer, format: WeightFormat) => RoundedWeight | undefined;

export interface WeightQuantizerOptions {
  /** Scales of int8 and int4 weights; by default those that just cover each channel, as wider and floating formats always have. */
  readonly weightScales?: WeightScales;
  /** Keep int8 codes to 7 bits. */
  readonly reduceRange?: boolean;
}

/**
 * The quantizer of a layer's weight in a format: symmetric, with a scale for each output channel where the format has scales.
 * @throws BitwrightError `invalid-option` when the given scales are not usable.
 */
export function quantizerOfWeight(
  layer: Layer,
  weight: TensorOf<"float32">,
  format: WeightFormat,
  { weightScales = minmaxScales, reduceRange = false }: WeightQuantizerOptions = {},
): WeightQuantizer {
  const axis = layer.weight.channelAxis;
  if (isFloating(format)) {
    if (!formats[format].scaled) return { format, granularity: { kind: "tensor" }, scales: Float32Array.of(1) };
    const scales = usableScales(minmaxScales, { layer, weight, limit: largestFloat(format) });
    return { format, granularity: { kind: "channel", axis }, scales };
  }
  const { bits } = formats[format];
  const limit = format === "int8" && reduceRange ? 63 : 2 ** (bits - 1) - 1;
  // With 16 bits there is nothing to win by clipping.
  const scales = usableScales(bits > 8 ? minmaxScales : weightScales, { layer, weight, limit });
  return weightQuantizer(bits, limit, axis, scales);
}

// For a channel of zeros: small, so that the channel's bias keeps its precision.
const scaleOfNothing = 2 ** -24;

function usableScales(scalesOf: WeightScales, request: WeightRequest): Float32Array {
  const { layer } = request;
  const given = scalesOf(request);
  if (given.length !== layer.weight.channels || given.some((scale) => !Number.isFinite(scale) || scale < 0)) {
    throw new BitwrightError("invalid-option", "the scales of a weight are not usable", {
      where: `layer "${layer.node}"`,
      expected: `${layer.weight.channels} finite numbers, 0 or more`,
      received: `${given.length} numbers, the smallest ${given.reduce((low, scale) => Math.min(low, scale), Number.POSITIVE_INFINITY)}`,
    });
  }
  return given.map((scale) => (scale < 2 ** -100 ? scaleOfNothing : scale));
}

/** The symmetric quantizer per output channel with these scales. */
export function weightQuantizer(bits: number, limit: number, axis: number, scales: Float32Array): Quantizer {
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
