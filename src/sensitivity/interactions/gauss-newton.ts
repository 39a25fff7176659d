import type { Batch } from "../../data/dataset.js";
import { Stage } from "../../progress.js";
import { inStretches } from "../../within-memory.js";
import type { LossName } from "../criterion.js";
import { judgedOutput } from "../place-loss.js";
import { samplesRun } from "../samples-run.js";
import { type ChoiceErrors, choiceErrors } from "./choice-errors.js";
import { GramSums } from "./gram-sums.js";
import { batchFor, type Source, type SourceContext } from "./source.js";

/** Errors whose tangents go through the network together. Neighbours start at about the same layer. */
const errorsPerPass = 16;

/**
 * The Gauss-Newton matrix of the loss, exact: one Jacobian-vector product r_i = J e_i for every error, G_ij = mean over samples of r_i^T F r_j. F is the
 * Hessian of the loss in the output: diag(p) - p p^T of each row for softmax losses, weighted as the loss averages rows; 1 for the squared error.
 */
export const gaussNewton: Source = async (context) => {
  const { engine, dataset, samples, loss, onProgress, signal } = context;
  const declared = choiceErrors(context);
  const sums = new GramSums(declared);
  const stage = new Stage(
    { onProgress, signal },
    "Gauss-Newton products",
    declared.errors.length * samplesRun(context),
  );
  await engine.graph.setErrors(declared.errors);
  for await (const batch of dataset.batches(samples, batchFor(context, errorsPerPass), { signal })) {
    await engine.run(batch.feeds, { keep: true, signal });
    const { dims, data } = await engine.read(judgedOutput(context));
    const classes = dims.at(-1) ?? 1;
    const rows = data.length / classes;
    const weights = loss === "mse" ? undefined : rowWeights(batch, rows, loss);
    const responses = await outputTangents(context, declared, stage, batch.indices.length);
    const u = new Float64Array(declared.errors.length);
    for (let row = 0; row < rows; row++) {
      const ofRow = responses.map((response) => response.subarray(row * classes, (row + 1) * classes));
      const scaled =
        weights === undefined
          ? ofRow
          : rootOfFisher(ofRow, (data as Float32Array).subarray(row * classes, (row + 1) * classes), weights[row]!);
      for (let c = 0; c < classes; c++) {
        for (let e = 0; e < u.length; e++) u[e] = scaled[e]![c]!;
        sums.add(u);
      }
    }
  }
  return {
    source: "gauss-newton",
    choices: declared.choices.map(({ site, format }) => ({ site: site.id, format })),
    ...sums.means(samplesRun(context)),
  };
};

/** J e of the judged output for every error, on the engine's last run. */
async function outputTangents(
  context: SourceContext,
  { errors }: ChoiceErrors,
  stage: Stage,
  samples: number,
): Promise<Float32Array[]> {
  const { engine, signal } = context;
  const output = engine.value(judgedOutput(context));
  const responses: Float32Array[] = [];
  await inStretches(engine, errors.length, errorsPerPass, async (first, length) => {
    const indices = Array.from({ length }, (_, i) => first + i);
    await engine.graph.aim(indices);
    await engine.graph.tangent({ signal });
    for (const probe of indices.keys()) {
      responses.push((await engine.graph.readTangent(output, probe)).data as Float32Array);
    }
    stage.step(undefined, indices.length * samples);
  });
  return responses;
}

/** The share of each row in the sum of its samples' losses: a sample's rows are averaged, those without a label left out. */
function rowWeights({ indices, labels }: Batch, rows: number, loss: LossName): Float64Array {
  const perSample = rows / indices.length;
  const counts = (row: number) => loss !== "cross-entropy" || labels![row]! >= 0;
  const weights = new Float64Array(rows);
  for (let first = 0; first < rows; first += perSample) {
    const counted = Array.from({ length: perSample }, (_, i) => first + i).filter(counts);
    for (const row of counted) weights[row] = 1 / counted.length;
  }
  return weights;
}

/** sqrt(w p) (r - p.r) of each response r: their products are w r^T (diag(p) - p p^T) r', with p the softmax of the logits. */
function rootOfFisher(responses: readonly Float32Array[], logits: Float32Array, weight: number): Float64Array[] {
  const largest = logits.reduce((max, logit) => Math.max(max, logit), Number.NEGATIVE_INFINITY);
  const exponentials = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const norm = exponentials.reduce((sum, value) => sum + value, 0);
  const p = exponentials.map((value) => value / norm);
  const roots = p.map((share) => Math.sqrt(weight * share));
  return responses.map((response) => {
    const mean = p.reduce((sum, share, c) => sum + share * response[c]!, 0);
    return roots.map((root, c) => root * (response[c]! - mean));
  });
}
