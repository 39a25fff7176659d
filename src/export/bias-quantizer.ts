import type { Format } from "../formats.js";
import type { Quantizer } from "../quantizer.js";
import type { Layer } from "./layers.js";

/**
 * By how much a layer's outputs move on average, channel by channel, when its weight is rounded to a format: E[(Q(W) - W) x]. Taking it off
 * the bias (bias correction; Nagel et al. 2019, section 4.2) costs nothing at run time. undefined where it is not known.
 */
export type BiasCorrections = (layer: Layer, format: Format) => ArrayLike<number> | undefined;

// Half of int32: the rest is room for the sum of products that the kernel adds to the bias.
const limit = 2 ** 30;

/**
 * Weight scales under which each channel's bias fits its int32: where it does not, because the channel's weights are tiny beside
 * it, the weight's scale grows until it does. The weights of such a channel lose precision that the bias drowns anyway.
 */
export function scalesThatHoldBias(
  weightScales: Float32Array,
  bias: Float32Array | undefined,
  inputScale: number,
): Float32Array {
  if (bias === undefined) return weightScales;
  // The margin keeps the rounding of the quotient to float32 from undoing the step.
  return weightScales.map((scale, channel) =>
    Math.max(scale, (Math.abs(bias[channel]!) / (limit * inputScale)) * (1 + 2 ** -20)),
  );
}

/** The int32 quantizer of a bias: integer kernels add it to sums of products, so its scale is input scale times weight scale. */
export function biasQuantizer(weightScales: Float32Array, inputScale: number, axis: number): Quantizer {
  return {
    bits: 32,
    signed: true,
    qmin: -limit,
    qmax: limit,
    granularity: { kind: "channel", axis },
    scales: weightScales.map((scale) => scale * inputScale),
    zeroPoints: new Int32Array(weightScales.length),
  };
}
