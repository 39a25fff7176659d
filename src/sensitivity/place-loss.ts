import type { Batch } from "../data/dataset.js";
import { labelsOf, rowsOf } from "../data/metrics/rows.js";
import { BitwrightError } from "../errors.js";
import type { LossName, SensitivityContext } from "./criterion.js";

type ModelAndData = Pick<SensitivityContext, "engine" | "dataset">;

/**
 * Puts a loss on the engine's last run, which must have kept its values; `kl` and `mse` compare with that run's own outputs, so they are zero.
 * @returns The loss of each sample.
 * @throws BitwrightError `invalid-option` for the cross-entropy of data without labels, `invalid-data` for labels that do not fit the output.
 */
export async function placeLoss(
  context: ModelAndData & { readonly loss: LossName },
  batch: Batch,
): Promise<Float64Array> {
  const { engine, loss } = context;
  const output = judgedOutput(context);
  const value = engine.value(output);
  const values = await engine.read(output);
  if (loss === "cross-entropy") {
    if (batch.labels === undefined) {
      throw new BitwrightError("invalid-option", "the cross-entropy loss needs labels", {
        remedy: "Give the data set labels, or take the loss kl",
      });
    }
    const target = labelsOf(batch, rowsOf(values, batch.indices.length));
    return engine.graph.loss({ kind: "cross-entropy", value, target });
  }
  const target = values.data as Float32Array;
  return engine.graph.loss({ kind: loss === "kl" ? "kl" : "squared-error", value, target });
}

/** Name of the output that losses are put on: the one that the metric judges. */
export function judgedOutput({ engine, dataset }: ModelAndData): string {
  return dataset.metric.output ?? engine.outputs[0]!;
}
