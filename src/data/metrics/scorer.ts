import { BitwrightError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../dataset.js";
import type { Metric, Scores } from "./metric.js";

/** Outputs of a model for one batch, by name, in the model's order. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** Collects the scores of batch after batch; the result has them in the order of the selection, whatever order the batches had. */
export interface Scorer {
  /** @param references the float model's outputs for the same batch. */
  add(batch: Batch, outputs: Outputs, references?: Outputs): void;
  result(): Scored;
}

export interface Scored {
  /** The metric's figure. */
  readonly value: number;
  /** Of the samples that count. */
  readonly scores: Scores;
  /** Their indices in the data set. */
  readonly indices: Uint32Array;
}

export function createScorer(metric: Metric): Scorer {
  const parts: Scores[] = [];
  const places: number[] = [];
  const indices: number[] = [];
  return {
    add(batch, outputs, references) {
      for (const place of batch.places) places.push(place);
      for (const index of batch.indices) indices.push(index);
      const name = metric.output ?? Object.keys(outputs)[0] ?? "";
      const reference = references && outputNamed(references, name);
      parts.push(
        metric.accumulate({
          samples: batch.indices.length,
          output: outputNamed(outputs, name),
          outputs,
          ...(reference !== undefined && { reference }),
          ...(references !== undefined && { references }),
          ...(batch.labels !== undefined && { labels: batch.labels }),
          ...(batch.targets !== undefined && { targets: batch.targets }),
        }),
      );
    },
    result() {
      const all = concatenateScores(parts);
      const counted = [...places.keys()].filter((i) => all.weight?.[i] !== 0);
      const order = counted.sort((a, b) => places[a]! - places[b]!);
      const scores = selectScores(all, order);
      return { value: metric.finish(scores), scores, indices: Uint32Array.from(order, (i) => indices[i]!) };
    },
  };
}

function outputNamed(outputs: Outputs, name: string): Tensor {
  const output = outputs[name];
  if (output !== undefined) return output;
  throw new BitwrightError("invalid-data", "the model has no such output", {
    expected: Object.keys(outputs).join(", "),
    received: name,
  });
}

/** Scores of batches, in their order, as scores of all samples. */
export function concatenateScores(parts: readonly Scores[]): Scores {
  const column = (name: "value" | "weight" | "truth") =>
    parts.every((part) => part[name] !== undefined) && {
      [name]: Float64Array.from(parts.flatMap((part) => [...part[name]!])),
    };
  const correct = parts.every((part) => part.correct !== undefined) && {
    correct: Uint8Array.from(parts.flatMap((part) => [...part.correct!])),
  };
  const boxes = parts.every((part) => part.detections !== undefined) && {
    detections: parts.flatMap((part) => part.detections!),
    objects: parts.flatMap((part) => part.objects ?? []),
  };
  return {
    value: new Float64Array(),
    ...column("value"),
    ...column("weight"),
    ...column("truth"),
    ...correct,
    ...boxes,
  };
}

/** The scores of some samples, in the order given; a sample may be there several times. */
export function selectScores(scores: Scores, samples: readonly number[]): Scores {
  const { value, weight, truth, correct, detections, objects } = scores;
  const column = (from: Float64Array) => Float64Array.from(samples, (i) => from[i]!);
  return {
    value: column(value),
    ...(weight !== undefined && { weight: column(weight) }),
    ...(truth !== undefined && { truth: column(truth) }),
    ...(correct !== undefined && { correct: Uint8Array.from(samples, (i) => correct[i]!) }),
    ...(detections !== undefined && { detections: samples.map((i) => detections[i]!) }),
    ...(objects !== undefined && { objects: samples.map((i) => objects[i]!) }),
  };
}
