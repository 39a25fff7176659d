import { BitwrightError } from "../errors.js";
import { type BlockedFormat, formats, isBlocked, isFloating, type WeightFormat } from "../formats.js";
import type { BlockQuantizer, Granularity, Quantizer, WeightQuantizer } from "../quantizer.js";
import type { TensorOf } from "../tensor.js";
import { eachStretch, scaleCount } from "./codes.js";
import type { WeightedLayer } from "./layers.js";
import { largestFloat } from "./narrow-floats.js";

/** A weight for which a quantizer is wanted. */
export interface WeightRequest {
  readonly layer: WeightedLayer;
  readonly weight: TensorOf<"float32">;
  /** Codes are symmetric, [-limit, limit], as {@link codeLimit} says. */
  readonly limit: number;
}

/** Scales of a weight, one for each output channel. */
export type WeightScales = (request: WeightRequest) => Float32Array;

/** Scales that just cover each channel: max |w| / limit. */
export const minmaxScales: WeightScales = ({ layer, weight, limit }) =>
  coveringScales(weight, { kind: "channel", axis: layer.weight.channelAxis }, limit);

/** Scales that map the largest magnitude that each of them covers to a limit. */
function coveringScales({ data, dims }: TensorOf<"float32">, granularity: Granularity, limit: number): Float32Array {
  const peaks = new Float32Array(scaleCount(dims, granularity));
  eachStretch(dims, granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) peaks[s] = Math.max(peaks[s]!, Math.abs(data[i]!));
  });
  return peaks.map((peak) => peak / limit);
}

/** A weight on the grid of a format. */
export interface RoundedWeight {
  /** One for each output channel; those of blocks are what their quantizer has. */
  readonly scales: Float32Array;
  /** Values on the grid, shaped like the weight. */
  readonly values: Float32Array;
  /** Their codes, where the grid is symmetric and per channel. */
  readonly codes?: Int8Array;
}

/** What weights become in a format where rounding each element by itself is not the best; the same object at every call. */
export type RoundedWeights = (layer: WeightedLayer, format: WeightFormat) => RoundedWeight | undefined;

export interface WeightQuantizerOptions {
  /** Scales of int8 and int4 weights per channel; by default those that just cover each channel, as all other formats always have. */
  readonly weightScales?: WeightScales;
  /** Keep int8 codes to 7 bits. */
  readonly reduceRange?: boolean;
}

/**
 * The largest code of a format, whose codes are symmetric.
 * @param reduceRange - Of int8, the largest with which two products with codes of 8 bits fit into 16: 2 * 255 * 64 < 2^15.
 */
export function codeLimit(format: "int16" | "int8" | "int4", reduceRange: boolean): number {
  return format === "int8" && reduceRange ? 64 : 2 ** (formats[format].bits - 1) - 1;
}

/**
 * The quantizer of a layer's weight in a format, with the scales that the format has; symmetric but for blocks.
 * @throws BitwrightError `invalid-option` when the scales are not usable.
 */
export function quantizerOfWeight(
  layer: WeightedLayer,
  weight: TensorOf<"float32">,
  format: WeightFormat,
  { weightScales = minmaxScales, reduceRange = false }: WeightQuantizerOptions = {},
): WeightQuantizer {
  if (isBlocked(format)) return blockQuantizer(layer, weight, format);
  if (isFloating(format)) {
    if (!formats[format].scaled) return { format, granularity: { kind: "tensor" }, scales: Float32Array.of(1) };
    const granularity = { kind: "channel", axis: layer.weight.channelAxis } as const;
    const scales = coveringScales(weight, granularity, largestFloat(format));
    return { format, granularity, scales: usableScales(layer, layer.weight.channels, scales) };
  }
  if (!takesScales(format)) return symmetricQuantizer(layer, weight, format, minmaxScales, false);
  return symmetricQuantizer(layer, weight, format, weightScales, reduceRange);
}

/** The quantizer of a table with one scale for each row. */
export function rowQuantizer(
  layer: WeightedLayer,
  weight: TensorOf<"float32">,
  format: "int8" | "int4",
  { weightScales = minmaxScales }: Pick<WeightQuantizerOptions, "weightScales"> = {},
): Quantizer {
  return symmetricQuantizer(layer, weight, format, weightScales, false);
}

function symmetricQuantizer(
  layer: WeightedLayer,
  weight: TensorOf<"float32">,
  format: "int16" | "int8" | "int4",
  scalesOf: WeightScales,
  reduceRange: boolean,
): Quantizer {
  const limit = codeLimit(format, reduceRange);
  const scales = usableScales(layer, layer.weight.channels, scalesOf({ layer, weight, limit }));
  return weightQuantizer(formats[format].bits, limit, layer.weight.channelAxis, scales);
}

/** Whether the scales of a format can be given. With 16 bits there is nothing to win by clipping; floating formats have room at both ends. */
export function takesScales(format: WeightFormat): format is "int8" | "int4" {
  return format === "int8" || format === "int4";
}

/**
 * The quantizer of a matrix in blocks along the axis that the product sums over. The few weights of a block lie far from evenly around zero,
 * so it has zero points, and covers just the range from the least to the greatest weight and zero.
 */
export function blockQuantizer(
  layer: WeightedLayer,
  { data, dims }: TensorOf<"float32">,
  format: BlockedFormat,
): BlockQuantizer {
  const { bits, block } = formats[format];
  const granularity = { kind: "block", axis: 1 - layer.weight.channelAxis, size: block } as const;
  const least = new Float32Array(scaleCount(dims, granularity));
  const greatest = new Float32Array(least.length);
  eachStretch(dims, granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) {
      least[s] = Math.min(least[s]!, data[i]!);
      greatest[s] = Math.max(greatest[s]!, data[i]!);
    }
  });
  const qmax = 2 ** bits - 1;
  const ranges = greatest.map((high, i) => high - least[i]!);
  const scales = usableScales(
    layer,
    ranges.length,
    ranges.map((range) => range / qmax),
  );
  const zeroPoints = Int32Array.from(least, (low, i) => Math.min(Math.round(-low / scales[i]!), qmax));
  return { bits, signed: false, qmin: 0, qmax, granularity, scales, zeroPoints };
}

// For a channel of zeros: small, so that the channel's bias keeps its precision.
const scaleOfNothing = 2 ** -24;

function usableScales({ node }: WeightedLayer, count: number, given: Float32Array): Float32Array {
  if (given.length !== count || given.some((scale) => !Number.isFinite(scale) || scale < 0)) {
    throw new BitwrightError("invalid-option", "the scales of a weight are not usable", {
      where: `layer "${node}"`,
      expected: `${count} finite numbers, 0 or more`,
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
