/**
 * Uniform numbers in [0, 1), the same for the same seed everywhere: Steele and Vigna's SplitMix on 32 bits ("Fast splittable pseudorandom number
 * generators", 2014, with the 32-bit finalizer of MurmurHash3). Not for cryptography.
 */
export function uniformNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x85ebca6b);
    mixed ^= mixed >>> 13;
    mixed = Math.imul(mixed, 0xc2b2ae35);
    mixed ^= mixed >>> 16;
    return (mixed >>> 0) / 2 ** 32;
  };
}
