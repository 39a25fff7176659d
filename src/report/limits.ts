import type { Amount } from "../amount.js";
import type { Limits } from "../options.js";
import { bytes, count, digits, metricValue, milliseconds, percent } from "./units.js";

/** Limits in words, such as `keep 99.0 % of top1 and at most 30.0 % of the size`. */
export function describeLimits(limits: Limits, metric: string): string {
  const { keep, maxDrop, reach, maxKl, maxSize, maxLatency, maxMacs, maxLossError } = limits;
  const most = (amount: Amount | undefined, what: string, text: (value: number) => string) => {
    if (amount === undefined) return [];
    return [
      "share" in amount
        ? `at most ${percent(amount.share, 1)} of the ${what}`
        : `${what} at most ${text(amount.absolute)}`,
    ];
  };
  return [
    ...(keep === undefined ? [] : [`keep ${percent(keep, 1)} of ${metric}`]),
    ...(maxDrop === undefined ? [] : [`${metric} worse by ${metricValue(metric, maxDrop)} at most`]),
    ...(reach === undefined ? [] : [`${metric} of ${metricValue(metric, reach)} or better`]),
    ...(maxKl === undefined ? [] : [`at most ${digits(maxKl)} nats of KL divergence`]),
    ...most(maxSize, "size", bytes),
    ...most(maxLatency, "latency", milliseconds),
    ...most(maxMacs, "multiply-accumulates", count),
    ...(maxLossError === undefined ? [] : [`at most ${percent(maxLossError, 1)} of error in the loss`]),
  ].join(" and ");
}

/** The limits that a plan does not meet, in words. */
export function describeUnmet(unmet: readonly (keyof Limits | "band")[]): string {
  const names = {
    band: "accuracy",
    keep: "accuracy",
    maxDrop: "accuracy",
    reach: "accuracy",
    maxKl: "divergence",
    maxSize: "size",
    maxLatency: "latency",
    maxMacs: "multiply-accumulates",
    maxLossError: "the loss's error",
  };
  return `not met: the limit on ${unmet.map((limit) => names[limit]).join(", ")}`;
}
