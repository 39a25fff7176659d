import type { Batch } from "../data/dataset.js";
import { labelsOf, type Rows, rowsOf } from "../data/metrics/rows.js";
import { logProbabilities } from "../data/metrics/softmax.js";
import { BitwrightError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import type { SensitivityContext } from "./criterion.js";
import { normalStream, uniformStream } from "./draws.js";
import { judgedOutput } from "./place-loss.js";

/**
 * Puts the loss that the model was trained for on the engine's last run, for first-order criteria: losses against the model's own output have no gradient
 * there. Models of classes: the cross-entropy of the true label or next token. Others: half the squared error to the true output.
 *
 * Where the data set has no such truth, it is drawn from what the model itself believes: a class from its softmax, an output from the unit normal about its own.
 * Then E <g, e>^2 = e^T F e with the Fisher information F. The likeliest class instead would leave no gradient where the model is sure of itself.
 * Draws depend on the seed and the sample's index in the data set alone.
 * @returns The loss of each sample.
 * @throws BitwrightError `invalid-data` for labels or true outputs that do not fit the model's output.
 */
export async function placeTaskLoss(
  context: Pick<SensitivityContext, "engine" | "dataset" | "divergence" | "seed">,
  batch: Batch,
): Promise<Float64Array> {
  const { engine, divergence, seed } = context;
  const name = judgedOutput(context);
  const value = engine.value(name);
  const output = await engine.read(name);
  const samples = batch.indices.length;
  if (divergence === "kl") {
    const rows = rowsOf(output, samples);
    const target = batch.labels === undefined ? drawnLabels(rows, batch.indices, seed) : labelsOf(batch, rows);
    return engine.graph.loss({ kind: "cross-entropy", value, target });
  }
  const target =
    batch.targets === undefined ? drawnOutputs(output, batch.indices, seed) : trueOutputs(batch.targets, output);
  return engine.graph.loss({ kind: "squared-error", value, target });
}

/** One class for each row, from the row's softmax. */
function drawnLabels(rows: Rows, indices: Uint32Array, seed: number): Int32Array {
  const labels = new Int32Array(rows.count);
  const logs = new Float64Array(rows.classes);
  for (const [n, index] of indices.entries()) {
    const uniform = uniformStream(seed, index);
    for (let row = n * rows.perSample; row < (n + 1) * rows.perSample; row++) {
      logProbabilities(rows, row, "logits", logs);
      let left = uniform();
      let label = 0;
      // Rounding may leave a rest behind the last class.
      while (label < rows.classes - 1 && left >= Math.exp(logs[label]!)) left -= Math.exp(logs[label++]!);
      labels[row] = label;
    }
  }
  return labels;
}

function drawnOutputs({ data }: Tensor, indices: Uint32Array, seed: number): Float32Array {
  const drawn = new Float32Array(data.length);
  const each = data.length / indices.length;
  for (const [n, index] of indices.entries()) {
    const normal = normalStream(seed, index);
    for (let i = n * each; i < (n + 1) * each; i++) drawn[i] = Number(data[i]) + normal();
  }
  return drawn;
}

function trueOutputs(targets: Tensor, output: Tensor): Float32Array {
  if (targets.data.length === output.data.length) return Float32Array.from(targets.data, Number);
  throw new BitwrightError("invalid-data", "the true outputs cannot be compared with the model's", {
    where: "targets",
    expected: `[${output.dims.join(", ")}]`,
    received: `[${targets.dims.join(", ")}]`,
  });
}
