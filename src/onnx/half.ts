/** Widens IEEE binary16 values, given by their bits, to float32. Exact, NaN payloads included. */
export function widenFloat16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i]!;
    const sign = (half & 0x8000) << 16;
    const magnitude = half & 0x7fff;
    // 13 more mantissa bits; the exponent's bias grows from 15 to 127, infinities and NaN keep the largest exponent.
    if (magnitude >= 0x7c00) wide[i] = sign | 0x7f800000 | (magnitude << 13);
    else if (magnitude >= 0x0400) wide[i] = sign | ((magnitude << 13) + 0x38000000);
    else wide[i] = sign | subnormalBits(magnitude);
  }
  return new Float32Array(wide.buffer);
}

const scratch = new DataView(new ArrayBuffer(4));

/** Float32 bits of a binary16 subnormal: `mantissa` steps of 2^-24. */
function subnormalBits(mantissa: number): number {
  scratch.setFloat32(0, mantissa * 2 ** -24);
  return scratch.getUint32(0);
}

/** Widens bfloat16 values, given by their bits, to float32: they are its upper half. */
export function widenBfloat16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return new Float32Array(wide.buffer);
}
