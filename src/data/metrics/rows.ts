import { BitwrightError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { MetricBatch } from "./metric.js";

/** An output seen as rows of class scores: one row for each sample, or one for each position of each sample. */
export interface Rows {
  readonly values: Float32Array | Float64Array;
  readonly classes: number;
  readonly perSample: number;
  readonly count: number;
}

/** The classes are the last axis; axes of one element behind the second are left out, as after a global pooling. */
export function rowsOf(tensor: Tensor, samples: number): Rows {
  const dims = [...tensor.dims];
  while (dims.length > 2 && dims.at(-1) === 1) dims.pop();
  const classes = dims.length > 1 ? dims.at(-1)! : 1;
  const { data } = tensor;
  const isFloat = data instanceof Float32Array || data instanceof Float64Array;
  if (!isFloat || dims[0] !== samples || classes === 0) {
    throw new BitwrightError("invalid-data", "the output cannot be read as class scores", {
      expected: `floating-point scores for ${samples} samples, classes last`,
      received: `${tensor.dtype} [${tensor.dims.join(", ")}]`,
      remedy: 'Name the output that is judged with "output" in the metric.',
    });
  }
  const count = data.length / classes;
  return { values: data, classes, count, perSample: count / samples };
}

/** The labels of a batch, one for each row, each below `classes` or negative. */
export function labelsOf({ labels }: Pick<MetricBatch, "labels">, rows: Rows, classes = rows.classes): Int32Array {
  if (labels === undefined || labels.length !== rows.count) {
    throw new BitwrightError("invalid-data", "the labels do not match the output", {
      expected: `${rows.count} labels`,
      received: `${labels?.length ?? "none"}`,
    });
  }
  const wrong = labels.find((label) => label >= classes);
  if (wrong === undefined) return labels;
  throw new BitwrightError("invalid-data", "a label is outside the classes of the model", {
    expected: `labels below ${classes}`,
    received: String(wrong),
    remedy: 'Shifted class numbers are corrected by "offset" in the labels.',
  });
}

/** Whether a row is compared at all: labels that come with the batch mark padding with a negative number. */
export function isCounted({ labels }: MetricBatch, rows: Rows, row: number): boolean {
  return labels?.length !== rows.count || labels[row]! >= 0;
}

/** Refuses an output of several rows a sample, for metrics that judge samples. */
export function requireOneRow(rows: Rows): Rows {
  if (rows.perSample === 1) return rows;
  throw new BitwrightError("invalid-data", "the metric judges one row of scores a sample", {
    expected: "1 row",
    received: `${rows.perSample} rows`,
  });
}

/** The float model's output for the same samples, of the same shape. */
export function referenceRows({ reference, samples }: MetricBatch, rows: Rows): Rows {
  const other = reference && rowsOf(reference, samples);
  if (other?.classes === rows.classes && other.count === rows.count) return other;
  throw new BitwrightError("invalid-data", "the outputs of the two models differ in shape", {
    expected: `${rows.count} rows of ${rows.classes}`,
    received: other === undefined ? "nothing" : `${other.count} rows of ${other.classes}`,
  });
}

/** Index of the largest entry of a row, the first of equals; -1 when an entry is not a number, which is never right. */
export function argmax({ values, classes }: Rows, row: number): number {
  const start = row * classes;
  let best = 0;
  for (let c = 0; c < classes; c++) {
    if (Number.isNaN(values[start + c])) return -1;
    if (values[start + c]! > values[start + best]!) best = c;
  }
  return best;
}
