import { uniformNumbers } from "../random.js";

/** Uniform numbers in [0, 1) that depend on the counters alone, as on (seed, sample): the same in whatever order streams are asked for. */
export function uniformStream(...counters: readonly number[]): () => number {
  return uniformNumbers(counters.reduce((key, counter) => uniformNumbers(key ^ counter)() * 2 ** 32, 0));
}

/** Standard normal numbers, by Box and Muller's transform. */
export function normalStream(...counters: readonly number[]): () => number {
  const uniform = uniformStream(...counters);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    // The logarithm needs a number above 0.
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
