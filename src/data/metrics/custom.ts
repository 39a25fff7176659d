import { BitwrightError } from "../../errors.js";
import { type Metric, type MetricBatch, weightedMean } from "./metric.js";

/**
 * A metric of the user's own: an object of type `Metric`, or a function that gives one number for each sample of a batch,
 * of which the mean is taken and higher is better.
 */
export type CustomMetric = Metric | ((batch: MetricBatch) => ArrayLike<number>);

/** Makes a `Metric` of what the user gave; `where` names it in errors. */
export function customMetric(given: unknown, where: string): Metric {
  if (typeof given === "function") return fromFunction(given as (batch: MetricBatch) => ArrayLike<number>, where);
  if (isMetric(given)) return given;
  throw new BitwrightError("invalid-option", "not a metric", {
    where,
    expected: "a function of a batch, or an object with name, higherIsBetter, needs, accumulate and finish",
    received: given === null ? "null" : typeof given,
  });
}

function fromFunction(score: (batch: MetricBatch) => ArrayLike<number>, where: string): Metric {
  return {
    name: score.name || "custom",
    higherIsBetter: true,
    needs: "nothing",
    accumulate(batch) {
      const value = Float64Array.from(score(batch));
      if (value.length === batch.samples) return { value };
      throw new BitwrightError("invalid-option", "the metric does not score every sample", {
        where,
        expected: `${batch.samples} numbers`,
        received: String(value.length),
      });
    },
    finish: weightedMean,
  };
}

const needs = ["labels", "targets", "reference", "nothing"];

function isMetric(given: unknown): given is Metric {
  if (typeof given !== "object" || given === null) return false;
  const metric = given as Record<keyof Metric, unknown>;
  return (
    typeof metric.name === "string" &&
    typeof metric.higherIsBetter === "boolean" &&
    needs.includes(metric.needs as string) &&
    typeof metric.accumulate === "function" &&
    typeof metric.finish === "function"
  );
}
