import type { FloatingQuantizer, Granularity, Quantizer } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import { type NarrowBits, narrowFloats, widenFloats } from "./narrow-floats.js";
import { roundHalfEven } from "./round-half-even.js";

/**
 * Integer codes of a tensor: clamp(roundHalfEven(x / scale) + zeroPoint, qmin, qmax), with the division in float32, as ONNX
 * QuantizeLinear computes it.
 * @param values - C order, of shape `dims`.
 */
export function quantizeToCodes(values: Float32Array, dims: readonly number[], quantizer: Quantizer): Int32Array {
  const { scales, zeroPoints, qmin, qmax } = quantizer;
  const codes = new Int32Array(values.length);
  const scaleAt = scaleIndex(dims, quantizer.granularity);
  for (let i = 0; i < values.length; i++) {
    const s = scaleAt(i);
    const code = roundHalfEven(Math.fround(values[i]! / scales[s]!)) + zeroPoints[s]!;
    codes[i] = Math.min(Math.max(code, qmin), qmax);
  }
  return codes;
}

/** The values that codes stand for: (code - zeroPoint) * scale in float32, as ONNX DequantizeLinear computes it. */
export function dequantizeCodes(codes: Int32Array, dims: readonly number[], quantizer: Quantizer): Float32Array {
  const values = new Float32Array(codes.length);
  const scaleAt = scaleIndex(dims, quantizer.granularity);
  for (let i = 0; i < codes.length; i++) {
    const s = scaleAt(i);
    values[i] = Math.fround(codes[i]! - quantizer.zeroPoints[s]!) * quantizer.scales[s]!;
  }
  return values;
}

/** Narrow floats of a tensor: float(x / scale), with the division in float32. */
export function quantizeToFloats(
  values: Float32Array,
  dims: readonly number[],
  { format, granularity, scales }: FloatingQuantizer,
): NarrowBits {
  const scaleAt = scaleIndex(dims, granularity);
  return narrowFloats(
    values.map((value, i) => value / scales[scaleAt(i)]!),
    format,
  );
}

/** The values that narrow floats stand for: their own times the scale in float32, as Cast and Mul compute them. */
export function dequantizeFloats(
  narrow: NarrowBits,
  dims: readonly number[],
  { format, granularity, scales }: FloatingQuantizer,
): Float32Array {
  const scaleAt = scaleIndex(dims, granularity);
  return widenFloats(narrow, format).map((value, i) => value * scales[scaleAt(i)]!);
}

/** The index of the scale that an element belongs to, by the element's index in C order. */
export function scaleIndex(dims: readonly number[], granularity: Granularity): (element: number) => number {
  switch (granularity.kind) {
    case "tensor":
      return () => 0;
    case "channel": {
      const inner = elementCount(dims.slice(granularity.axis + 1));
      const channels = dims[granularity.axis]!;
      return (element) => Math.floor(element / inner) % channels;
    }
    case "block": {
      const { axis, size } = granularity;
      const inner = elementCount(dims.slice(axis + 1));
      const length = dims[axis]!;
      const blocks = Math.ceil(length / size);
      return (element) => {
        const row = Math.floor(element / inner);
        const block = Math.floor(row / length) * blocks + Math.floor((row % length) / size);
        return block * inner + (element % inner);
      };
    }
  }
}

/** How many scales a tensor has. */
export function scaleCount(dims: readonly number[], granularity: Granularity): number {
  switch (granularity.kind) {
    case "tensor":
      return 1;
    case "channel":
      return dims[granularity.axis]!;
    case "block": {
      const { axis, size } = granularity;
      return elementCount(dims.with(axis, Math.ceil(dims[axis]! / size)));
    }
  }
}
