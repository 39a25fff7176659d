import type { Field } from "../field.js";
import { argmax, type Rows } from "./rows.js";

/** The class a row stands for: of one score, 1 when it reaches the threshold, else 0; of several, the highest. */
export function decide(rows: Rows, row: number, threshold: number): number {
  if (rows.classes > 1) return argmax(rows, row);
  const score = rows.values[row]!;
  return Number.isNaN(score) ? -1 : Number(score >= threshold);
}

/** Number of classes that `decide` chooses from. */
export function decidable(rows: Rows): number {
  return Math.max(rows.classes, 2);
}

export function parseThreshold(field: Field): number {
  return field.present ? field.number() : 0.5;
}
