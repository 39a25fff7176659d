import { spearmanCorrelation } from "../data/metrics/spearman.js";

/** How well two lists of figures of the same things agree in their order; each is 1 for the same order, NaN where one list is constant. */
export interface RankAgreement {
  readonly spearman: number;
  readonly kendall: number;
}

export function rankAgreement(a: readonly number[], b: readonly number[]): RankAgreement {
  return { spearman: spearmanCorrelation(a, b), kendall: kendallTau(a, b) };
}

/** Kendall's tau-b, which corrects for ties, over all pairs. */
export function kendallTau(a: readonly number[], b: readonly number[]): number {
  let [agreeing, untiedA, untiedB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < i; j++) {
      const x = Math.sign(a[i]! - a[j]!);
      const y = Math.sign(b[i]! - b[j]!);
      agreeing += x * y;
      untiedA += Math.abs(x);
      untiedB += Math.abs(y);
    }
  }
  return agreeing / Math.sqrt(untiedA * untiedB);
}
