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

export type Granularity =
  | { readonly kind: "tensor" }
  | { readonly kind: "channel"; readonly axis: number }
  | { readonly kind: "block"; readonly axis: number; readonly size: number };
