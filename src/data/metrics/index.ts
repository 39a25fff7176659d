import { BitwrightError } from "../../errors.js";
import { Field } from "../field.js";
import { parseAccuracy } from "./accuracy.js";
import { agreement } from "./agreement.js";
import { parseAveragePrecision } from "./average-precision.js";
import { crossEntropy } from "./cross-entropy.js";
import { parseF1 } from "./f1.js";
import { parseKl } from "./kl.js";
import type { Metric } from "./metric.js";
import { perplexity } from "./perplexity.js";
import { parsePsnr } from "./psnr.js";
import { rocAuc } from "./roc-auc.js";
import { parseSnr } from "./snr.js";
import { spearman } from "./spearman.js";
import { top1 } from "./top1.js";
import { parseTopk, topk } from "./topk.js";

/** The built-in metrics by name, each made from its `MetricChoice`. */
export const metrics = {
  top1: withoutOptions(top1),
  top5: withoutOptions(topk(5)),
  topk: parseTopk,
  accuracy: parseAccuracy,
  f1: parseF1,
  ap: parseAveragePrecision,
  agreement: withoutOptions(agreement),
  kl: parseKl,
  "cross-entropy": withoutOptions(crossEntropy),
  perplexity: withoutOptions(perplexity),
  "roc-auc": withoutOptions(rocAuc),
  spearman: withoutOptions(spearman),
  psnr: parsePsnr,
  snr: parseSnr,
} as const satisfies Record<string, (choice: Field) => Metric>;

export type MetricName = keyof typeof metrics;

export const metricNames = Object.keys(metrics) as MetricName[];

/** Parses the "metric" of a manifest. Without one it is top1 when there are labels, else agreement with the float model. */
export function parseMetric(field: Field, hasLabels: boolean): Metric {
  if (field.present) return named(field);
  return hasLabels ? top1 : agreement;
}

/** Refuses a metric that compares with something the data set does not have. */
export function checkNeeds(
  { name, needs }: Metric,
  has: { readonly labels: boolean; readonly targets: boolean },
  document: string,
): void {
  if ((needs !== "labels" && needs !== "targets") || has[needs]) return;
  throw new BitwrightError("invalid-data", `the metric ${name} needs ${needs}, which the data set does not have`, {
    where: document,
    remedy: `Add "${needs}", or choose a metric that compares with the float model: agreement or kl.`,
  });
}

function named(field: Field): Metric {
  const choice = new Field(
    field.document,
    field.path,
    typeof field.value === "string" ? { name: field.value } : field.value,
  );
  const metric = metrics[choice.at("name").choice(metricNames)](choice);
  const output = choice.at("output");
  return output.present ? { ...metric, output: output.text() } : metric;
}

function withoutOptions(metric: Metric): (choice: Field) => Metric {
  return (choice) => {
    choice.object(["name", "output"]);
    return metric;
  };
}
