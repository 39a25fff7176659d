import type { Batch } from "../data/dataset.js";
import { BitwrightError } from "../errors.js";
import type { LossName, SensitivityContext } from "./criterion.js";

type ModelAndData = Pick<SensitivityContext, "engine" | "dataset">;

/**
 * Puts a loss on the engine's last run, which must have kept its values; `kl` and `mse` compare with that run's own outputs, so they are zero.
 * @returns The loss of each sample.
 * @throws BitwrightError `invalid-option` for the cross-entropy of data without labels.
 */
export async function placeLoss(
  context: ModelAndData & { readonly loss: LossName },
  batch: Batch,
): Promise<Float64Array> {
  const { engine, loss } = context;
  const output = judgedOutput(context);
  const value = engine.value(output);
  if (loss === "cross-entropy") {
    if (batch.labels === undefined) {
      throw new BitwrightError("invalid-option", "the cross-entropy loss needs labels", {
        remedy: "Give the data set labels, or take the loss kl",
      });
    }
    return engine.graph.loss({ kind: "cross-entropy", value, target: batch.labels });
  }
  const { data } = await engine.read(output);
  return engine.graph.loss({ kind: loss === "kl" ? "kl" : "squared-error", value, target: data as Float32Array });
}

/** Name of the output that losses are put on: the one that the metric judges. */
export function judgedOutput({ engine, dataset }: ModelAndData): string {
  return dataset.metric.output ?? engine.outputs[0]!;
}
