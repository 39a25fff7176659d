import { type Metric, weightedMean } from "./metric.js";
import { rowMeans } from "./row-means.js";
import { labelsOf, rowsOf } from "./rows.js";
import { logProbabilities } from "./softmax.js";

/** Mean negative log-probability of the labels, in nats, from logits. */
export const crossEntropy: Metric = {
  name: "cross-entropy",
  higherIsBetter: false,
  needs: "labels",
  accumulate(batch) {
    const rows = rowsOf(batch.output, batch.samples);
    const labels = labelsOf(batch, rows);
    const logs = new Float64Array(rows.classes);
    return rowMeans(rows, (row) => {
      const label = labels[row]!;
      return label < 0 ? undefined : -logProbabilities(rows, row, "logits", logs)[label]!;
    });
  },
  finish: weightedMean,
};
