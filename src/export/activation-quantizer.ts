import { BitwrightError } from "../errors.js";
import type { Quantizer } from "../quantizer.js";
import type { Range } from "./layout.js";

const qmax = 255;
const smallestNormal = 2 ** -126;

/**
 * The uint8 quantizer per tensor that covers a range, widened so that zero is exact.
 * @param ceiling - Given when the tensor comes out of an activation function that clamps to [0, ceiling] (Infinity for Relu). The
 *   grid then lies inside, zero at code 0: clamping to codes does what the function did, and engines drop the function.
 * @throws BitwrightError `invalid-option` when the range is not an interval.
 */
export function activationQuantizer(range: Range, ceiling?: number): Quantizer {
  if (!Number.isFinite(range.min) || !Number.isFinite(range.max) || range.min > range.max) {
    throw new BitwrightError("invalid-option", "the range of an activation is not an interval", {
      expected: "finite numbers, min <= max",
      received: `${range.min} to ${range.max}`,
    });
  }
  const low = ceiling === undefined ? Math.min(range.min, 0) : 0;
  const high = Math.min(Math.max(range.max, 0), ceiling ?? Number.POSITIVE_INFINITY);
  const scale = scaleOf(low, high, ceiling);
  return {
    bits: 8,
    signed: false,
    qmin: 0,
    qmax,
    granularity: { kind: "tensor" },
    scales: Float32Array.of(scale),
    zeroPoints: Int32Array.of(Math.min(Math.round(-low / scale), qmax)),
  };
}

function scaleOf(low: number, high: number, ceiling = Number.POSITIVE_INFINITY): number {
  // A tensor that is always zero is exact on any grid; one of unit range keeps the scales derived from it ordinary numbers.
  if (low === high) return Math.fround(1 / qmax);
  const scale = Math.max(Math.fround((high - low) / qmax), smallestNormal);
  // Rounding to float32 may have pushed the largest code's value beyond the ceiling by a unit in the last place.
  return Math.fround(qmax * scale) > ceiling ? Math.fround(scale * (1 - 2 ** -24)) : scale;
}
