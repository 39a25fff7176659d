import type { Dataset } from "../data/dataset.js";
import { BitwrightError } from "../errors.js";
import type { Range } from "../export/layout.js";
import type { Target } from "../export/targets/target.js";
import { type OnnxModel, storedBytes } from "../onnx/model.js";
import type { Control } from "../progress.js";
import { findIntegerStart } from "./integer-start-node.js";

/** Enough to tell a fifth of the time from noise, in a few seconds. */
const measurement = { deepest: 4, repeats: 15 };

/** Bytes of a float model up to which whole models are timed, several of which are in memory at once. Larger ones are products of wide matrices. */
const largestTimed = 1e9;

/**
 * The leading layers that onnxruntime runs faster on float kernels, measured on one sample; none where onnxruntime is not installed, since nothing
 * can be measured then, and none of a model of more than a gigabyte.
 */
export async function measuredFloatKernels(
  { model, target, dataset }: { readonly model: OnnxModel; readonly target: Target; readonly dataset: Dataset },
  ranges: ReadonlyMap<string, Range>,
  { onProgress, signal }: Control,
): Promise<readonly string[]> {
  if (storedBytes(model.proto) > largestTimed) return [];
  onProgress?.({ stage: "time kernels", done: 0, total: 1 });
  try {
    for await (const { feeds } of dataset.batches(dataset.splits.calibration.slice(0, 1), 1)) {
      const options = { ...measurement, ...(signal !== undefined && { signal }) };
      return (await findIntegerStart(model, target, ranges, feeds, options)).floatLayers;
    }
    return [];
  } catch (error) {
    if (error instanceof BitwrightError && error.code === "runtime-missing") return [];
    throw error;
  } finally {
    onProgress?.({ stage: "time kernels", done: 1, total: 1 });
  }
}
