import type { Field } from "../field.js";
import { decidable, decide, parseThreshold } from "./decision.js";
import { type Metric, weightedMean } from "./metric.js";
import { rowHits } from "./row-means.js";
import { labelsOf, rowsOf } from "./rows.js";

/** Share of samples put in the right class; a single score is class 1 from `threshold` on. */
export function accuracy(threshold = 0.5): Metric {
  return {
    name: "accuracy",
    higherIsBetter: true,
    needs: "labels",
    accumulate(batch) {
      const rows = rowsOf(batch.output, batch.samples);
      const labels = labelsOf(batch, rows, decidable(rows));
      return rowHits(rows, (row) => (labels[row]! < 0 ? undefined : decide(rows, row, threshold) === labels[row]));
    },
    finish: weightedMean,
  };
}

export function parseAccuracy(field: Field): Metric {
  return accuracy(parseThreshold(field.object(["name", "output", "threshold"]).threshold));
}
