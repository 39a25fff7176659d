import { Stage } from "../../progress.js";
import { inStretches } from "../../within-memory.js";
import type { Interactions } from "../interactions.js";
import { placeLoss } from "../place-loss.js";
import { samplesRun } from "../samples-run.js";
import { type ChoiceErrors, choiceErrors } from "./choice-errors.js";
import { mirrored, triangle } from "./matrix.js";
import { batchFor, type Source } from "./source.js";

/** Errors whose Hessian products are taken together. Neighbours start at about the same layer. */
const errorsPerPass = 16;

/**
 * The whole Hessian of the loss along the errors, exact: one product H e_j for every error, whose inner products with all others come with it. Beside the
 * Gauss-Newton matrix it has the curvature of the network itself, so for `cross-entropy` and `mse` away from zero loss it need not be positive
 * semi-definite; searches that want that have to project it.
 */
export const hessian: Source = async (context) => {
  const { engine, dataset, samples, onProgress, signal } = context;
  const declared = choiceErrors(context);
  const width = declared.errors.length;
  // forms[i * width + j]: e_j^T H e_i, summed over samples.
  const forms = new Float64Array(width * width);
  const stage = new Stage({ onProgress, signal }, "Hessian products", width * samplesRun(context));
  await engine.graph.setErrors(declared.errors);
  for await (const batch of dataset.batches(samples, batchFor(context, errorsPerPass), { signal })) {
    await engine.run(batch.feeds, { keep: true, signal });
    await placeLoss(context, batch);
    const count = batch.indices.length;
    await inStretches(engine, width, errorsPerPass, async (first, length) => {
      const indices = Array.from({ length }, (_, i) => first + i);
      await engine.graph.aim(indices);
      const { values } = await engine.graph.interactions({ signal });
      for (const [probe, i] of indices.entries()) {
        for (let n = 0; n < count; n++) {
          for (let j = 0; j < width; j++) forms[i * width + j]! += values[(probe * count + n) * width + j]!;
        }
      }
      stage.step(undefined, indices.length * count);
    });
  }
  return {
    source: "hessian",
    choices: declared.choices.map(({ site, format }) => ({ site: site.id, format })),
    ...byChoice(declared, forms, samplesRun(context)),
  };
};

/** Sums of all errors' forms by their choices, the two sides averaged, for they differ by rounding. */
function byChoice(
  { choices, owners, corrections }: ChoiceErrors,
  forms: Float64Array,
  samples: number,
): Pick<Interactions, "matrix" | "corrected"> {
  const matrixOf = (counts: (error: number) => boolean) => {
    const sums = triangle(choices.length);
    for (const [i, a] of owners.entries()) {
      if (!counts(i)) continue;
      for (const [j, b] of owners.entries()) {
        const form = forms[i * owners.length + j]! / (2 * samples);
        if (!counts(j)) continue;
        if (b <= a) sums[a]![b]! += form;
        if (a <= b) sums[b]![a]! += form;
      }
    }
    return mirrored(sums);
  };
  const own = matrixOf((error) => !corrections[error]);
  return corrections.includes(true) ? { matrix: own, corrected: matrixOf(() => true) } : { matrix: own };
}
