import type { FloatingFormat } from "./formats.js";

/**
 * A uniform quantizer with its grid: x -> (clamp(roundHalfEven(x / scale) + zeroPoint, qmin, qmax) - zeroPoint) * scale,
 * bit-equal to ONNX QuantizeLinear followed by DequantizeLinear.
 *
 * Per tensor: one scale. Per channel: one scale for each index along `axis`. Per block: `scales` has the tensor's shape with
 * `axis` divided by `block`.
 */
export interface Quantizer {
  readonly bits: number;
  /** True when the codes are signed (int8, int4), false for uint8, uint4. */
  readonly signed: boolean;
  readonly qmin: number;
  readonly qmax: number;
  readonly granularity: Granularity;
  readonly scales: Float32Array;
  /** One for each scale; all zero for a symmetric quantizer. */
  readonly zeroPoints: Int32Array;
}

/**
 * Rounds to a narrower floating-point format: x -> float(x / scale) * scale, half to even, saturating at the format's largest finite value.
 * Bit-equal to ONNX Cast there and back where nothing overflows. Scales as in {@link Quantizer}; a single 1 where the format has none.
 */
export interface FloatingQuantizer {
  readonly format: FloatingFormat;
  readonly granularity: Granularity;
  readonly scales: Float32Array;
}

/** What a weight's elements are rounded by. Activations take uniform quantizers only. */
export type WeightQuantizer = Quantizer | FloatingQuantizer;

export function isUniform(quantizer: WeightQuantizer): quantizer is Quantizer {
  return !("format" in quantizer);
}

/** A uniform quantizer with a scale for each block of a tensor along an axis. */
export interface BlockQuantizer extends Quantizer {
  readonly granularity: Extract<Granularity, { readonly kind: "block" }>;
}

export type Granularity =
  | { readonly kind: "tensor" }
  | { readonly kind: "channel"; readonly axis: number }
  | { readonly kind: "block"; readonly axis: number; readonly size: number };
