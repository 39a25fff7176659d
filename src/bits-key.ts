/** A text that tells floats apart by their bits, for the keys of maps. Integers become text several times faster than floats do. */
export function bitsKey(values: Float32Array): string {
  return new Uint32Array(values.buffer, values.byteOffset, values.length).join();
}
