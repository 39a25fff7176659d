import { BitwrightError } from "../../errors.js";
import { type Metric, type MetricBatch, weightedMean } from "./metric.js";

/**
 * A metric of the user's own: an object of type `Metric`, or a function that gives one number for each sample of a batch,
 * of which the mean is taken and higher is better.
 */
export type CustomMetric = Metric | ((batch: MetricBatch) => ArrayLike<number>);

/** Makes a `Metric` of what the user gave; `where` names it in errors. */
export function customMetric(given: unknown, where: string): Metric {
  if (typeof given === "function")
    return guarded(fromFunction(given as (batch: MetricBatch) => ArrayLike<number>), where);
  if (isMetric(given)) return guarded(given, where);
  throw new BitwrightError("invalid-option", "not a metric", {
    where,
    expected: "a function of a batch, or an object with name, higherIsBetter, needs, accumulate and finish",
    received: given === null ? "null" : typeof given,
  });
}

function fromFunction(score: (batch: MetricBatch) => ArrayLike<number>): Metric {
  return {
    name: score.name || "custom",
    higherIsBetter: true,
    needs: "nothing",
    accumulate: (batch) => ({ value: Float64Array.from(score(batch)) }),
    finish: weightedMean,
  };
}

/** The metric, whose failures are told from bitwright's own. */
function guarded(metric: Metric, where: string): Metric {
  const { name, higherIsBetter, needs, output } = metric;
  const attempt = <T>(what: string, run: () => T): T => {
    try {
      return run();
    } catch (cause) {
      if (cause instanceof BitwrightError) throw cause;
      const received = cause instanceof Error ? cause.message : String(cause);
      throw new BitwrightError("invalid-option", `the metric fails to ${what}`, { where, received, cause });
    }
  };
  return {
    name,
    higherIsBetter,
    needs,
    ...(output !== undefined && { output }),
    accumulate(batch) {
      const scores = attempt("score a batch", () => metric.accumulate(batch));
      checkScores(scores, batch.samples, where);
      return scores;
    },
    finish(scores) {
      const figure: unknown = attempt("give its figure", () => metric.finish(scores));
      if (typeof figure === "number") return figure;
      throw new BitwrightError("invalid-option", "the metric's figure is not a number", {
        where,
        expected: "a number",
        received: typeof figure,
      });
    },
  };
}

const columns = { value: Float64Array, weight: Float64Array, truth: Float64Array, correct: Uint8Array } as const;

function checkScores(scores: unknown, samples: number, where: string): void {
  const unusable = (expected: string, received: string) =>
    new BitwrightError("invalid-option", "the metric does not score every sample", { where, expected, received });
  if (typeof scores !== "object" || scores === null)
    throw unusable("scores, with a value for each sample", `${scores}`);
  for (const [name, type] of Object.entries(columns)) {
    const column: unknown = (scores as Record<string, unknown>)[name];
    if (column === undefined && name !== "value") continue;
    if (!(column instanceof type)) throw unusable(`${name} in a ${type.name}`, typeof column);
    if (column.length !== samples) throw unusable(`${samples} numbers`, String(column.length));
  }
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
