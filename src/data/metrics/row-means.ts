import type { Scores } from "./metric.js";
import type { Rows } from "./rows.js";

/** Means over the rows of each sample, weighted by how many count. `score` gives undefined for a row that does not. */
export function rowMeans(
  { count, perSample }: Rows,
  score: (row: number) => number | undefined,
): Required<Pick<Scores, "value" | "weight">> {
  const samples = count / perSample;
  const value = new Float64Array(samples);
  const weight = new Float64Array(samples);
  for (let row = 0; row < count; row++) {
    const result = score(row);
    if (result === undefined) continue;
    const sample = Math.floor(row / perSample);
    value[sample]! += result;
    weight[sample]! += 1;
  }
  for (let s = 0; s < samples; s++) {
    if (weight[s]! > 0) value[s]! /= weight[s]!;
  }
  return { value, weight };
}

/** `rowMeans` of right (true) and wrong (false), saying of each sample which it is where a sample is one row. */
export function rowHits(rows: Rows, hit: (row: number) => boolean | undefined): Scores {
  const scores = rowMeans(rows, (row) => {
    const right = hit(row);
    return right === undefined ? undefined : Number(right);
  });
  return rows.perSample === 1 ? { ...scores, correct: Uint8Array.from(scores.value) } : scores;
}
