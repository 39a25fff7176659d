import { type Metric, weightedMean } from "./metric.js";
import { rowHits } from "./row-means.js";
import { argmax, isCounted, referenceRows, rowsOf } from "./rows.js";

/** Share of samples that a model and the float model put in the same class. */
export const agreement: Metric = {
  name: "agreement",
  higherIsBetter: true,
  needs: "reference",
  accumulate(batch) {
    const rows = rowsOf(batch.output, batch.samples);
    const reference = referenceRows(batch, rows);
    return rowHits(rows, (row) => {
      if (!isCounted(batch, rows, row)) return undefined;
      const chosen = argmax(rows, row);
      return chosen >= 0 && chosen === argmax(reference, row);
    });
  },
  finish: weightedMean,
};
