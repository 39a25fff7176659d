import { BitwrightError } from "../errors.js";
import { type FloatingFormat, formats } from "../formats.js";
import { widenBfloat16, widenFloat16 } from "../onnx/half.js";
import { roundHalfEven } from "./round-half-even.js";

/** Bits of narrow floats, one element each: sign, exponent, mantissa from the top. */
export type NarrowBits = Uint16Array | Uint8Array;

/**
 * Rounds float32 values to a narrower format, half to even: bit-equal to ONNX Cast with its default `saturate`, and saturating
 * in the 16-bit formats too, where Cast gives infinities.
 * @throws BitwrightError `invalid-model` for a value that is not finite.
 */
export function narrowFloats(values: Float32Array, format: FloatingFormat): NarrowBits {
  const { bits, exponentBits, mantissaBits } = formats[format];
  const narrow = bits === 16 ? new Uint16Array(values.length) : new Uint8Array(values.length);
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const smallest = smallestExponent(exponentBits);
  const largest = largestBits(format);
  for (let i = 0; i < values.length; i++) {
    const exponent = ((wide[i]! >>> 23) & 0xff) - 127;
    if (exponent === 128) throw notFinite(format, i, values[i]!);
    // Subnormals have the steps of the smallest exponent. A mantissa that rounds up to the next power carries into the exponent.
    const binade = Math.max(exponent, smallest);
    const steps = roundHalfEven(Math.abs(values[i]!) * 2 ** (mantissaBits - binade));
    const magnitude = Math.min(steps + ((binade - smallest) << mantissaBits), largest);
    narrow[i] = ((wide[i]! >>> 31) << (bits - 1)) | magnitude;
  }
  return narrow;
}

/** The float32 values of finite narrow floats; exact. */
export function widenFloats(narrow: NarrowBits, format: FloatingFormat): Float32Array {
  switch (format) {
    case "fp16":
      return widenFloat16(narrow as Uint16Array);
    case "bf16":
      return widenBfloat16(narrow as Uint16Array);
    case "fp8e5m2":
      return widenFloat16(Uint16Array.from(narrow, (bits) => bits << 8));
    case "fp8e4m3":
      // In a binary16 its exponent, biased by 7, counts from 15.
      return widenFloat16(Uint16Array.from(narrow, (bits) => ((bits & 0x80) << 8) | ((bits & 0x7f) << 7))).map(
        (value) => value * 2 ** 8,
      );
  }
}

/** The largest finite value of a format. */
export function largestFloat(format: FloatingFormat): number {
  return widenFloats(Uint16Array.of(largestBits(format)), format)[0]!;
}

/** Below the infinities; e4m3 has none and keeps only its last code for NaN. */
function largestBits(format: FloatingFormat): number {
  const { exponentBits, mantissaBits } = formats[format];
  return format === "fp8e4m3" ? 0x7e : ((2 ** exponentBits - 1) << mantissaBits) - 1;
}

/** Exponent of the smallest normal value. */
function smallestExponent(exponentBits: number): number {
  return 2 - 2 ** (exponentBits - 1);
}

function notFinite(format: FloatingFormat, element: number, value: number): BitwrightError {
  return new BitwrightError("invalid-model", `a weight cannot be stored as ${format}`, {
    where: `element ${element}`,
    expected: "finite numbers",
    received: `${value}`,
  });
}
