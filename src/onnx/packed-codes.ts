import { BitwrightError } from "../errors.js";

/** Widths of integer codes that share bytes. */
export type PackedBits = 2 | 4;

/**
 * Packs integer codes as ONNX stores INT4, UINT4, INT2 and UINT2: the first code in the lowest bits of a byte, the last byte
 * filled up with zeros.
 * @throws BitwrightError `engine-failure` for a code that does not fit.
 */
export function packCodes(codes: Int8Array | Uint8Array, bits: PackedBits): Uint8Array {
  const mask = (1 << bits) - 1;
  const low = codes instanceof Int8Array ? -(1 << (bits - 1)) : 0;
  const perByte = 8 / bits;
  const packed = new Uint8Array(Math.ceil(codes.length / perByte));
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code < low || code > low + mask) {
      throw new BitwrightError("engine-failure", `a code does not fit ${bits} bits`, {
        where: `element ${i}`,
        expected: `${low} to ${low + mask}`,
        received: `${code}`,
      });
    }
    packed[Math.floor(i / perByte)]! |= (code & mask) << ((i % perByte) * bits);
  }
  return packed;
}

/** The first `count` codes of packed bytes: an Int8Array when signed, else a Uint8Array. */
export function unpackCodes(
  packed: Uint8Array,
  bits: PackedBits,
  signed: boolean,
  count: number,
): Int8Array | Uint8Array {
  const codes = signed ? new Int8Array(count) : new Uint8Array(count);
  // Shifting the code to the top of 32 bits and back extends its sign; an array of unsigned bytes drops what that sets.
  const unused = 32 - bits;
  const mask = signed ? -1 : (1 << bits) - 1;
  for (let i = 0, at = 0; i < count; at++) {
    const byte = packed[at]!;
    for (let shift = unused; shift > unused - 8 && i < count; shift -= bits)
      codes[i++] = ((byte << shift) >> unused) & mask;
  }
  return codes;
}
