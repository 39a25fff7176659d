import type { Metric, Scores } from "./metrics/metric.js";
import { weightedMean } from "./metrics/metric.js";
import { type Scored, selectScores } from "./metrics/scorer.js";
import type { Sequences } from "./sequences.js";
import { studentQuantile } from "./student.js";

/** What the figures of two models on the same samples show, for any metric. */
export interface FigureChange {
  /** Quantized less float figure; null where that is no number. */
  readonly difference: Interval | null;
  /** Share of the float figure that is kept, quantized / float or float / quantized for errors, with the bound that it exceeds at the confidence (one-sided); null where there is no such share. */
  readonly keepRatio: { readonly value: number; readonly low: number } | null;
  /** The quantized model's own figure; null where that is no number. */
  readonly quantized: Interval | null;
  readonly confidence: number;
  /** What is taken to be independent of each other, and how many there are. */
  readonly unit: "samples" | "sequences";
  readonly units: number;
}

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Steps of one sequence depend on each other: independent are the sequences. */
export type Grouping = Pick<Sequences, "of">;

/** Groups that are left out in turn; more do not make intervals much better. */
const mostGroups = 200;
/** For what is done for every configuration of a search. */
const fewGroups = 50;

/**
 * Compares the figures of two models by the jackknife: whole groups of samples are left out in turn, the same of both models, and intervals are Student's for
 * their number (Quenouille 1956, Tukey 1958; for clusters MacKinnon, Nielsen and Webb 2023). It works for every metric, means or not, and needs no random numbers.
 */
export function compareFigures(
  metric: Pick<Metric, "finish" | "higherIsBetter">,
  float: Scored,
  quantized: Scored,
  sequences?: Grouping,
  confidence = 0.95,
): FigureChange {
  const keep = (pair: Figures) => (metric.higherIsBetter ? pair.quantized / pair.float : pair.float / pair.quantized);
  const groups = groupsOf(float.indices, sequences, mostGroups);
  const whole = { float: float.value, quantized: quantized.value };
  const left = leftOut(metric, float.scores, quantized.scores, groups);
  const interval = (figure: (pair: Figures) => number, tail: number): Interval | null => {
    const value = figure(whole);
    if (left.length < 2) return null;
    const reach = studentQuantile(tail, left.length - 1) * standardError(left.map(figure));
    return Number.isFinite(value) && Number.isFinite(reach) ? { value, low: value - reach, high: value + reach } : null;
  };
  const kept = !(float.value >= 0 && float.value < Number.POSITIVE_INFINITY) ? null : interval(keep, 1 - confidence);
  return {
    difference: interval((pair) => pair.quantized - pair.float, (1 - confidence) / 2),
    keepRatio: kept && { value: kept.value, low: Math.max(0, kept.low) },
    quantized: interval((pair) => pair.quantized, (1 - confidence) / 2),
    confidence,
    unit: sequences === undefined ? "samples" : "sequences",
    units:
      sequences === undefined ? float.indices.length : new Set(Array.from(float.indices, (i) => sequences.of[i]!)).size,
  };
}

/** Standard error of the change of a figure between two models on the same samples; 0 where it is no number. */
export function standardErrorOfChange(
  metric: Pick<Metric, "finish">,
  before: Pick<Scored, "scores" | "indices">,
  after: Pick<Scored, "scores">,
  sequences?: Grouping,
): number {
  const error =
    metric.finish === weightedMean && sequences === undefined
      ? standardErrorOfMeanChange(before.scores, after.scores)
      : standardError(
          leftOut(metric, before.scores, after.scores, groupsOf(before.indices, sequences, fewGroups)).map(
            (pair) => pair.quantized - pair.float,
          ),
        );
  return Number.isFinite(error) ? error : 0;
}

interface Figures {
  readonly float: number;
  readonly quantized: number;
}

/** The group of each sample: sequences, or samples dealt out in turn where there are many. */
function groupsOf(indices: Uint32Array, sequences: Grouping | undefined, most: number): Int32Array {
  const numbers = new Map<number, number>();
  return Int32Array.from(indices, (index, i) => {
    const unit = sequences === undefined ? i : sequences.of[index]!;
    if (!numbers.has(unit)) numbers.set(unit, numbers.size % most);
    return numbers.get(unit)!;
  });
}

/** The figures without each group. */
function leftOut({ finish }: Pick<Metric, "finish">, float: Scores, quantized: Scores, groups: Int32Array): Figures[] {
  const samples = [...groups.keys()];
  return Array.from({ length: new Set(groups).size }, (_, group) => {
    const rest = samples.filter((i) => groups[i] !== group);
    return { float: finish(selectScores(float, rest)), quantized: finish(selectScores(quantized, rest)) };
  });
}

/** NaN for fewer than two groups. */
function standardError(left: readonly number[]): number {
  const count = left.length;
  const mean = left.reduce((sum, value) => sum + value, 0) / count;
  const squares = left.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return count < 2 ? Number.NaN : Math.sqrt(((count - 1) / count) * squares);
}

/** The same for weighted means, in one go. */
function standardErrorOfMeanChange(before: Scores, after: Scores): number {
  const count = before.value.length;
  const weight = (i: number) => before.weight?.[i] ?? 1;
  let total = 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    total += weight(i);
    sum += weight(i) * (after.value[i]! - before.value[i]!);
  }
  const mean = sum / total;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (weight(i) * (after.value[i]! - before.value[i]! - mean)) ** 2;
  return (Math.sqrt(squares) / total) * Math.sqrt(count / (count - 1));
}
