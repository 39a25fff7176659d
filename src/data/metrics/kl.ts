import type { Field } from "../field.js";
import { type Metric, weightedMean } from "./metric.js";
import { rowMeans } from "./row-means.js";
import { isCounted, referenceRows, rowsOf } from "./rows.js";
import { logProbabilities, type Scale, scales } from "./softmax.js";

/**
 * Mean Kullback-Leibler divergence KL(float || model) of the class distributions, in nats.
 * @param scale whether the output holds logits or probabilities.
 */
export function kl(scale: Scale = "logits"): Metric {
  return {
    name: "kl",
    higherIsBetter: false,
    needs: "reference",
    accumulate(batch) {
      const rows = rowsOf(batch.output, batch.samples);
      const reference = referenceRows(batch, rows);
      const p = new Float64Array(rows.classes);
      const q = new Float64Array(rows.classes);
      return rowMeans(rows, (row) => {
        if (!isCounted(batch, rows, row)) return undefined;
        logProbabilities(reference, row, scale, p);
        logProbabilities(rows, row, scale, q);
        let sum = 0;
        for (let c = 0; c < rows.classes; c++) sum += Math.exp(p[c]!) * (p[c]! - q[c]!);
        return sum;
      });
    },
    finish: weightedMean,
  };
}

export function parseKl(field: Field): Metric {
  const { from } = field.object(["name", "output", "from"]);
  return kl(from.present ? from.choice(scales) : "logits");
}
