import { BitwrightError } from "../../errors.js";
import type { Metric } from "./metric.js";
import { ranks } from "./ranks.js";

/** Spearman's rank correlation of one predicted number a sample with its target; equal numbers share their mean rank. */
export const spearman: Metric = {
  name: "spearman",
  higherIsBetter: true,
  needs: "targets",
  accumulate({ output, targets, samples }) {
    if (output.data.length !== samples || targets?.data.length !== samples) {
      throw new BitwrightError("invalid-data", "rank correlation needs one number a sample", {
        expected: `${samples} outputs and targets`,
        received: `${output.data.length} and ${targets?.data.length ?? "none"}`,
      });
    }
    return { value: Float64Array.from(output.data, Number), truth: Float64Array.from(targets.data, Number) };
  },
  finish: ({ value, truth }) => spearmanCorrelation(value, truth!),
};

/** Pearson's correlation of the ranks; NaN when one side is constant. */
export function spearmanCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (x.length + 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const dx = x[i]! - middle;
    const dy = y[i]! - middle;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xy / Math.sqrt(xx * yy);
}
