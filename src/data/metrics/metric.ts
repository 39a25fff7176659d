import type { Tensor } from "../../tensor.js";

/** How the outputs of a model are judged. */
export interface Metric {
  readonly name: string;
  readonly higherIsBetter: boolean;
  /** What the outputs are compared with: class labels, true outputs, the float model's outputs, or nothing. */
  readonly needs: "labels" | "targets" | "reference" | "nothing";
  /** Output that is judged; the model's first when not given. */
  readonly output?: string;
  /** Scores of the samples of one batch. */
  accumulate(batch: MetricBatch): Scores;
  /** The figure for all samples, from their scores. */
  finish(scores: Scores): number;
}

/** What a metric sees of a batch; tensors have the samples first. */
export interface MetricBatch {
  /** Number of samples. */
  readonly samples: number;
  /** The output that is judged. */
  readonly output: Tensor;
  /** The same output of the float model. */
  readonly reference?: Tensor;
  /** One for each sample, or one for each of its positions; negative where there is none. */
  readonly labels?: Int32Array;
  readonly targets?: Tensor;
  /** All outputs, by name. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly references?: Readonly<Record<string, Tensor>>;
}

/** Columns with one entry for each sample, so that two models can be compared sample by sample. */
export interface Scores {
  /** The sample's own score: a share of hits, nats, decibels, a predicted value. */
  readonly value: Float64Array;
  /** How much a sample counts in a mean, such as its number of tokens; absent when all count alike. Those of weight 0 are left out. */
  readonly weight?: Float64Array;
  /** What `value` should have been, for metrics over the whole set such as F1 and rank correlation. */
  readonly truth?: Float64Array;
  /** 1 where the model is right; only for metrics that say so of every sample. */
  readonly correct?: Uint8Array;
  /** What a detector found in each sample, and the classes of what there was to find. */
  readonly detections?: readonly (readonly Detection[])[];
  readonly objects?: readonly (readonly number[])[];
}

/** A box that a detector gives. */
export interface Detection {
  readonly label: number;
  readonly score: number;
  /** Whether it is the first to be at an object. */
  readonly hit: boolean;
}

/** A built-in metric: its name, or its name with options. */
export type MetricChoice =
  | string
  | { readonly name: string; readonly output?: string; readonly [option: string]: unknown };

/** Sum of value * weight over sum of weight. */
export function weightedMean({ value, weight }: Scores): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < value.length; i++) {
    const w = weight?.[i] ?? 1;
    if (w === 0) continue;
    sum += value[i]! * w;
    total += w;
  }
  return sum / total;
}
