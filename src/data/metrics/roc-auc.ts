import { BitwrightError } from "../../errors.js";
import type { Metric, Scores } from "./metric.js";
import { ranks } from "./ranks.js";
import { labelsOf, requireOneRow, rowsOf } from "./rows.js";

/**
 * Area under the receiver operating characteristic: the chance that a sample of class 1 scores higher than one of class 0, equal scores counted half
 * (Hanley and McNeil 1982). Of two scores, that of class 1 less that of class 0.
 */
export const rocAuc: Metric = {
  name: "roc-auc",
  higherIsBetter: true,
  needs: "labels",
  accumulate(batch) {
    const rows = requireOneRow(rowsOf(batch.output, batch.samples));
    if (rows.classes > 2) {
      throw new BitwrightError("invalid-data", "the metric judges two classes", {
        expected: "one score or two",
        received: `${rows.classes} scores`,
      });
    }
    const truth = Float64Array.from(labelsOf(batch, rows, 2));
    const { values, classes } = rows;
    const value = truth.map((label, row) => {
      const score = classes === 1 ? values[row]! : values[2 * row + 1]! - values[2 * row]!;
      // What is not a number is never right.
      return Number.isNaN(score) ? (label === 1 ? -Infinity : Infinity) : score;
    });
    return { value, truth };
  },
  finish: areaUnderCurve,
};

/** NaN when one of the classes does not occur. */
function areaUnderCurve({ value, truth }: Scores): number {
  const rank = ranks(value);
  let positives = 0;
  let sum = 0;
  for (let i = 0; i < rank.length; i++) {
    if (truth![i] !== 1) continue;
    positives++;
    sum += rank[i]!;
  }
  return (sum - (positives * (positives + 1)) / 2) / (positives * (rank.length - positives));
}
