import type { ModelEvaluation } from "../evaluate-node.js";
import { describePairs } from "./text.js";
import { digits, metricValue, plural } from "./units.js";

/** An evaluation for a terminal. */
export function textEvaluation({ metric, value, samples, runtime, reference }: ModelEvaluation): string {
  const lines = [`${metric} ${metricValue(metric, value)} on ${plural(samples, "sample")}, computed by ${runtime}`];
  if (reference !== null) {
    lines.push(
      `reference ${metricValue(metric, reference.value)}; mean divergence from it ${digits(reference.divergence)}`,
    );
    if (reference.paired !== null) lines.push(describePairs(reference.paired));
  }
  return lines.join("\n");
}
