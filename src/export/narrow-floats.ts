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
  const { steps, codes } = binades(exponentBits, mantissaBits);
  const narrow = bits === 16 ? new Uint16Array(values.length) : new Uint8Array(values.length);
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const largest = largestBits(format);
  for (let i = 0; i < values.length; i++) {
    const exponent = (wide[i]! >>> 23) & 0xff;
    if (exponent === 0xff) throw notFinite(format, i, values[i]!);
    // A mantissa that rounds up to the next power of two carries into the exponent.
    const magnitude = roundHalfEven(Math.abs(values[i]!) * steps[exponent]!) + codes[exponent]!;
    narrow[i] = ((wide[i]! >>> 31) << (bits - 1)) | Math.min(magnitude, largest);
  }
  return narrow;
}

/**
 * For each exponent of a float32, as its bits hold it: how many steps of the narrow format make 1, and the code that counting them starts from.
 * Below the smallest exponent of the narrow format steps stay the same: its subnormals.
 */
function binades(exponentBits: number, mantissaBits: number): { steps: Float64Array; codes: Int32Array } {
  const smallest = 2 - 2 ** (exponentBits - 1);
  const exponents = Float64Array.from({ length: 256 }, (_, bits) => Math.max(bits - 127, smallest));
  return {
    steps: exponents.map((exponent) => 2 ** (mantissaBits - exponent)),
    codes: Int32Array.from(exponents, (exponent) => (exponent - smallest) << mantissaBits),
  };
}

/** The float32 values of finite narrow floats; exact. */
export function widenFloats(narrow: NarrowBits, format: FloatingFormat): Float32Array {
  switch (format) {
    case "fp16":
      return widenFloat16(narrow as Uint16Array);
    case "bf16":
      return widenBfloat16(narrow as Uint16Array);
    default:
      return widenBytes(narrow as Uint8Array, format);
  }
}

function widenBytes(bytes: Uint8Array, format: "fp8e4m3" | "fp8e5m2"): Float32Array {
  const known = bytesAsFloats(format);
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) values[i] = known[bytes[i]!]!;
  return values;
}

/** The values of all bytes, by way of binary16, which has the exponent of e5m2 and one more bit than that of e4m3, biased by 8 more. */
function bytesAsFloats(format: "fp8e4m3" | "fp8e5m2"): Float32Array {
  const halves = Uint16Array.from({ length: 256 }, (_, bits) =>
    format === "fp8e5m2" ? bits << 8 : ((bits & 0x80) << 8) | ((bits & 0x7f) << 7),
  );
  const values = widenFloat16(halves);
  return format === "fp8e5m2" ? values : values.map((value) => value * 2 ** 8);
}

/** The largest finite value of a format. */
export function largestFloat(format: FloatingFormat): number {
  const bits = [largestBits(format)];
  return widenFloats(formats[format].bits === 16 ? Uint16Array.from(bits) : Uint8Array.from(bits), format)[0]!;
}

/** Below the infinities; e4m3 has none and keeps only its last code for NaN. */
function largestBits(format: FloatingFormat): number {
  const { exponentBits, mantissaBits } = formats[format];
  return format === "fp8e4m3" ? 0x7e : ((2 ** exponentBits - 1) << mantissaBits) - 1;
}

function notFinite(format: FloatingFormat, element: number, value: number): BitwrightError {
  return new BitwrightError("invalid-model", `a weight cannot be stored as ${format}`, {
    where: `element ${element}`,
    expected: "finite numbers",
    received: `${value}`,
  });
}
