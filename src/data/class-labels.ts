import { BitwrightError } from "../errors.js";
import type { LabelReader } from "./dataset.js";

/** One class a sample; refuses another number of them, and classes below zero. */
export function classLabels(classes: Int32Array, size: number, where: string): LabelReader {
  if (classes.length !== size) {
    throw new BitwrightError("invalid-data", "the labels do not match the samples", {
      where,
      expected: `${size} labels`,
      received: String(classes.length),
    });
  }
  const negative = classes.findIndex((label) => label < 0);
  if (negative >= 0) {
    throw new BitwrightError("invalid-data", "a class number is negative", {
      where,
      expected: "classes from 0 on, offset included",
      received: `${classes[negative]} for sample ${negative}`,
    });
  }
  return { classes, of: (indices) => Int32Array.from(indices, (index) => classes[index]!) };
}
