import type { ModelEvaluation } from "../evaluate-node.js";
import { describeChange, describePairs } from "./text.js";
import { digits, metricValue, plural } from "./units.js";

/** An evaluation for a terminal. */
export function textEvaluation({ metric, value, samples, runtime, reference }: ModelEvaluation): string {
  const lines = [`${metric} ${metricValue(metric, value)} on ${plural(samples, "sample")}, computed by ${runtime}`];
  if (reference !== null) {
    lines.push(
      `reference ${metricValue(metric, reference.value)}; mean divergence from it ${digits(reference.divergence)}`,
    );
    const { paired, change } = reference;
    lines.push(paired === null ? describeChange(metric, change) : describePairs(paired));
  }
  return lines.join("\n");
}
