import type { Field } from "../field.js";
import { type Metric, weightedMean } from "./metric.js";
import { rowHits } from "./row-means.js";
import { labelsOf, type Rows, rowsOf } from "./rows.js";

/** Share of samples whose label is among the `k` highest scores; of equal scores the lower class number is the higher. */
export function topk(k: number): Metric {
  return {
    name: `top${k}`,
    higherIsBetter: true,
    needs: "labels",
    accumulate(batch) {
      const rows = rowsOf(batch.output, batch.samples);
      const labels = labelsOf(batch, rows);
      return rowHits(rows, (row) => (labels[row]! < 0 ? undefined : rank(rows, row, labels[row]!) < k));
    },
    finish: weightedMean,
  };
}

export function parseTopk(field: Field): Metric {
  return topk(field.object(["name", "output", "k"]).k.integer(1));
}

/** How many classes score above `label`; infinite when the row holds a value that is not a number. */
function rank({ values, classes }: Rows, row: number, label: number): number {
  const start = row * classes;
  const own = values[start + label]!;
  let above = 0;
  for (let c = 0; c < classes; c++) {
    const score = values[start + c]!;
    if (Number.isNaN(score)) return Number.POSITIVE_INFINITY;
    if (score > own || (score === own && c < label)) above++;
  }
  return above;
}
