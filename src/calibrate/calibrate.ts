import type { Dataset, Selection } from "../data/dataset.js";
import { BitwrightError } from "../errors.js";
import type { EngineModel } from "../evaluate/engine-model.js";
import type { Range } from "../export/layout.js";
import { type Control, Stage } from "../progress.js";
import { type RangeMethodName, rangeMethods } from "./observers.js";

export interface CalibrationOptions extends Control {
  readonly method: RangeMethodName;
  readonly batchSize: number;
}

/**
 * Ranges of activations over some samples. Streams: at any time the tensors of one batch are in memory.
 * @param tensors - Names of float tensors of the model.
 * @throws BitwrightError `invalid-data` when a tensor takes values that are no finite numbers.
 */
export async function calibrate(
  engine: EngineModel,
  dataset: Dataset,
  selection: Selection,
  tensors: readonly string[],
  { method, batchSize, onProgress, signal }: CalibrationOptions,
): Promise<Map<string, Range>> {
  const samples =
    typeof selection === "string" && selection !== "all" ? dataset.splits[selection].length : dataset.size;
  if (samples === 0) throw new BitwrightError("invalid-data", "calibration needs at least one sample");
  const extremes = new Map<string, Range>();
  if (tensors.length === 0) return extremes;
  const passes = rangeMethods[method].second(extremes) === undefined ? 1 : 2;
  const stage = new Stage({ onProgress, signal }, "calibrate", samples * passes);
  const pass = async (observe: () => Promise<void>) => {
    for await (const batch of dataset.batches(selection, batchSize, { signal })) {
      await engine.run(batch.feeds, { values: tensors, signal });
      await observe();
      stage.step(undefined, batch.indices.length);
    }
  };
  await pass(async () => {
    const found = await engine.graph.ranges(tensors.map((name) => engine.value(name)));
    for (const [i, { min, max, nonFinite }] of found.entries()) widen(extremes, tensors[i]!, min, max, nonFinite);
  });
  const second = rangeMethods[method].second(extremes);
  if (second === undefined) return extremes;
  await pass(() => second.observe(engine, tensors));
  return second.ranges();
}

function widen(extremes: Map<string, Range>, name: string, min: number, max: number, nonFinite: number): void {
  if (min > max && nonFinite === 0) {
    throw new BitwrightError("invalid-model", "an activation has no values", { where: name });
  }
  if (nonFinite > 0 || !Number.isFinite(max - min)) {
    throw new BitwrightError("invalid-data", "an activation has values that are no finite numbers", {
      where: name,
      received: nonFinite > 0 ? `NaN ${nonFinite} times` : `values from ${min} to ${max}`,
      remedy: "Check the preprocessing in the data set's manifest, and the model on these samples",
    });
  }
  const known = extremes.get(name);
  extremes.set(name, { min: Math.min(known?.min ?? min, min), max: Math.max(known?.max ?? max, max) });
}
