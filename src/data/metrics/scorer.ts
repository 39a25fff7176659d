import { BitwrightError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../dataset.js";
import type { Metric, Scores } from "./metric.js";

/** Outputs of a model for one batch, by name, in the model's order. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** Collects the scores of batch after batch. */
export interface Scorer {
  /** @param references the float model's outputs for the same batch. */
  add(batch: Batch, outputs: Outputs, references?: Outputs): void;
  result(): { readonly value: number; readonly scores: Scores };
}

export function createScorer(metric: Metric): Scorer {
  const parts: Scores[] = [];
  return {
    add(batch, outputs, references) {
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
      const scores = concatenateScores(parts);
      return { value: metric.finish(scores), scores };
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
