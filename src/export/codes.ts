import { formats } from "../formats.js";
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
  eachStretch(dims, quantizer.granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) {
      const code = roundHalfEven(Math.fround(values[i]! / scales[s]!)) + zeroPoints[s]!;
      codes[i] = Math.min(Math.max(code, qmin), qmax);
    }
  });
  return codes;
}

/** The values that codes stand for: (code - zeroPoint) * scale in float32, as ONNX DequantizeLinear computes it. */
export function dequantizeCodes(codes: Int32Array, dims: readonly number[], quantizer: Quantizer): Float32Array {
  const { scales, zeroPoints } = quantizer;
  const values = new Float32Array(codes.length);
  eachStretch(dims, quantizer.granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) {
      values[i] = Math.fround(codes[i]! - zeroPoints[s]!) * scales[s]!;
    }
  });
  return values;
}

/** Narrow floats of a tensor: float(x / scale), with the division in float32. */
export function quantizeToFloats(
  values: Float32Array,
  dims: readonly number[],
  { format, granularity, scales }: FloatingQuantizer,
): NarrowBits {
  if (!formats[format].scaled) return narrowFloats(values, format);
  const scaled = new Float32Array(values.length);
  eachStretch(dims, granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) scaled[i] = values[i]! / scales[s]!;
  });
  return narrowFloats(scaled, format);
}

/** The values that narrow floats stand for: their own times the scale in float32, as Cast and Mul compute them. */
export function dequantizeFloats(
  narrow: NarrowBits,
  dims: readonly number[],
  { format, granularity, scales }: FloatingQuantizer,
): Float32Array {
  const values = widenFloats(narrow, format);
  if (!formats[format].scaled) return values;
  eachStretch(dims, granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) values[i]! *= scales[s]!;
  });
  return values;
}

/**
 * Visits the elements of a tensor in C order by stretches in which the index of an element's scale stays, or grows by one with each element: no element has to
 * have its own worked out.
 * @param visit - Gets the elements from `begin` to before `end`, the index of the first one's scale, and the step (0 or 1) to the next one's.
 */
export function eachStretch(
  dims: readonly number[],
  granularity: Granularity,
  visit: (begin: number, end: number, firstScale: number, step: 0 | 1) => void,
): void {
  const count = elementCount(dims);
  if (count === 0) return;
  if (granularity.kind === "tensor") {
    visit(0, count, 0, 0);
    return;
  }
  const { axis } = granularity;
  const length = dims[axis]!;
  const inner = elementCount(dims.slice(axis + 1));
  const size = granularity.kind === "block" ? granularity.size : 1;
  const blocks = Math.ceil(length / size);
  for (let outer = 0; outer < count / (length * inner); outer++) {
    const start = outer * length * inner;
    const firstScale = granularity.kind === "block" ? outer * blocks * inner : 0;
    if (inner === 1 && size === 1) {
      visit(start, start + length, firstScale, 1);
    } else if (inner === 1) {
      for (let block = 0; block < blocks; block++) {
        visit(start + block * size, start + Math.min((block + 1) * size, length), firstScale + block, 0);
      }
    } else {
      for (let at = 0; at < length; at++) {
        const begin = start + at * inner;
        if (granularity.kind === "block") visit(begin, begin + inner, firstScale + Math.floor(at / size) * inner, 1);
        else visit(begin, begin + inner, at, 0);
      }
    }
  }
}

/** The index of each element's scale, for those who visit elements in an order of their own. */
export function scaleIndices(dims: readonly number[], granularity: Granularity): Int32Array {
  const indices = new Int32Array(elementCount(dims));
  eachStretch(dims, granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) indices[i] = s;
  });
  return indices;
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
