import type { Field } from "../field.js";
import { decidable, decide, parseThreshold } from "./decision.js";
import type { Metric, Scores } from "./metric.js";
import { labelsOf, requireOneRow, rowsOf } from "./rows.js";

export interface F1Options {
  /** F1 of class `positive`, or the plain mean over all classes that are predicted or true somewhere. Default binary. */
  readonly average?: "binary" | "macro";
  /** Default 1. */
  readonly positive?: number;
  /** From where on a single score is class 1. Default 0.5. */
  readonly threshold?: number;
}

/** F1 = 2 TP / (2 TP + FP + FN); 0 where that is 0 / 0. */
export function f1({ average = "binary", positive = 1, threshold = 0.5 }: F1Options = {}): Metric {
  return {
    name: "f1",
    higherIsBetter: true,
    needs: "labels",
    accumulate(batch) {
      const rows = requireOneRow(rowsOf(batch.output, batch.samples));
      const truth = Float64Array.from(labelsOf(batch, rows, decidable(rows)));
      const value = truth.map((_, row) => decide(rows, row, threshold));
      return { value, truth, correct: Uint8Array.from(value, (predicted, i) => Number(predicted === truth[i])) };
    },
    finish: (scores) => (average === "binary" ? classF1(scores, positive) : macroF1(scores)),
  };
}

export function parseF1(field: Field): Metric {
  const { average, positive, threshold } = field.object(["name", "output", "average", "positive", "threshold"]);
  return f1({
    average: average.present ? average.choice(["binary", "macro"]) : "binary",
    positive: positive.present ? positive.integer(0) : 1,
    threshold: parseThreshold(threshold),
  });
}

function macroF1(scores: Scores): number {
  // A prediction of -1 stands for an output that is not a number, not for a class.
  const classes = [...new Set([...scores.value, ...scores.truth!])].filter((c) => c >= 0);
  return classes.reduce((sum, c) => sum + classF1(scores, c), 0) / classes.length;
}

function classF1({ value, truth }: Scores, wanted: number): number {
  let hits = 0;
  let predicted = 0;
  let actual = 0;
  for (let i = 0; i < value.length; i++) {
    if (value[i] === wanted) predicted++;
    if (truth![i] === wanted) actual++;
    if (value[i] === wanted && truth![i] === wanted) hits++;
  }
  return predicted + actual === 0 ? 0 : (2 * hits) / (predicted + actual);
}
