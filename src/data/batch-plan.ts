import { BitwrightError } from "../errors.js";
import type { InputReader } from "./input.js";
import type { Sequences } from "./sequences.js";

/** Places in a selection that form a batch. */
export type Places = Uint32Array;

/**
 * Batches whose samples need no padding for each other: places sorted by the lengths of their samples, then by where they are in the selection, cut where a length
 * changes. The order does not depend on the batch size, and what is computed for a sample does not depend on its neighbours.
 */
export function plainBatches(inputs: readonly InputReader[], indices: Uint32Array, batchSize: number): Places[] {
  const lengths = inputs.flatMap(({ unpadded }) => (unpadded === undefined ? [] : [unpadded]));
  const compare = (a: number, b: number) => {
    for (const of of lengths) {
      const difference = of[indices[a]!]! - of[indices[b]!]!;
      if (difference !== 0) return difference;
    }
    return 0;
  };
  const order = Uint32Array.from(indices.keys());
  if (lengths.length > 0) order.sort((a, b) => compare(a, b) || a - b);
  const batches: Places[] = [];
  for (let first = 0, end = 1; first < order.length; end++) {
    if (end < order.length && end - first < batchSize && compare(order[first]!, order[end]!) === 0) continue;
    batches.push(order.subarray(first, end));
    first = end;
  }
  return batches;
}

/**
 * Batches that hold one step of each of several sequences: so many sequences side by side from their first steps on, long ones with long ones. Those that
 * have ended leave the batches.
 * @throws BitwrightError `invalid-option` when a sequence is not chosen from its first step on without a gap.
 */
export function rolledBatches(indices: Uint32Array, { of, starts }: Sequences, batchSize: number): Places[] {
  const runs = new Map<number, number[]>();
  for (const [place, index] of indices.entries()) {
    const sequence = of[index]!;
    const run = runs.get(sequence) ?? [];
    runs.set(sequence, run);
    if (index !== starts[sequence]! + run.length) {
      throw new BitwrightError("invalid-option", "a step is chosen without those before it", {
        where: `sample ${index}`,
        expected: `step ${run.length} of sequence ${sequence}: sample ${starts[sequence]! + run.length}`,
      });
    }
    run.push(place);
  }
  const longestFirst = [...runs.values()].sort((a, b) => b.length - a.length || a[0]! - b[0]!);
  const batches: Places[] = [];
  for (let first = 0; first < longestFirst.length; first += batchSize) {
    const together = longestFirst.slice(first, first + batchSize);
    for (let step = 0; step < together[0]!.length; step++) {
      batches.push(Uint32Array.from(together.filter((run) => run.length > step).map((run) => run[step]!)));
    }
  }
  return batches;
}
