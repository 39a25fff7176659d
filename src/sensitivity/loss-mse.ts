import type { Projections, TensorError } from "../backend/graph-types.js";
import type { Format } from "../formats.js";
import { Stage } from "../progress.js";
import type { Criterion, SensitivityContext, SiteScore, SiteScores } from "./criterion.js";
import { choiceErrors } from "./interactions/choice-errors.js";
import { type Choice, choicesOf } from "./interactions/choices.js";
import { placeTaskLoss } from "./place-task-loss.js";
import { noiseVariance, weightNoise } from "./rounding-noise.js";
import { samplesRun } from "./samples-run.js";

// The mean square of the change of each sample's loss, to first order in the errors of weights and activations (arXiv 2505.13060; our reading of
// its abstract): d_i(b) = mean_n <g_{i,n}, e_{i,b}>^2 with g = dL_n/dt_i, one forward and one backward pass a sample. Costs are squares of losses: a
// configuration whose costs add up to at most tau^2 mean_n L_n^2 changes losses by about tau of their size.

/** d_i(b) with the errors that the formats really make, corrections of biases included. */
export const lossMse: Criterion = {
  name: "loss-mse",
  async score(context) {
    const { choices, errors, owners } = choiceErrors(context);
    const squares = new Float64Array(choices.length);
    const onSample = (projections: Float64Array) => {
      const changes = new Float64Array(choices.length);
      for (const [e, owner] of owners.entries()) changes[owner]! += projections[e]!;
      for (const [i, change] of changes.entries()) squares[i]! += change * change;
    };
    await eachSample(context, "loss-mse", errors, onSample, () =>
      context.engine.graph.project({ source: "loss" }, context),
    );
    return scoresOf(choices, squares, context);
  },
};

/** d_i(b) in the mean over errors that are independent noise of the size of the format's steps: mean_n sum_k g_{i,n,k}^2 sigma_k^2. */
export const lossMseNoise: Criterion = {
  name: "loss-mse-noise",
  async score(context) {
    const { engine, sites } = context;
    const choices = choicesOf(sites);
    const variances = choices.map(
      ({ site, format }): TensorError =>
        site.kind === "weight"
          ? { value: engine.value(site.tensor), data: weightNoise(context, site, format) }
          : { node: engine.node(site.node), port: site.port, variance: noiseVariance(site.quantizers.get(format)!) },
    );
    const squares = new Float64Array(choices.length);
    const onSample = (expected: Float64Array) => {
      for (const [i, square] of expected.entries()) squares[i]! += square;
    };
    await eachSample(context, "loss-mse-noise", variances, onSample, () => engine.graph.projectSquares(context));
    return scoresOf(choices, squares, context);
  },
};

/** Runs all samples with the task's loss, and hands each one's projections on the errors to `onSample`. */
async function eachSample(
  context: SensitivityContext,
  name: string,
  errors: readonly TensorError[],
  onSample: (projections: Float64Array) => void,
  project: () => Promise<Projections>,
): Promise<void> {
  const { engine, dataset, samples, batchSize, onMeanSquaredLoss, signal } = context;
  const stage = new Stage(context, name, samplesRun(context));
  await engine.graph.setErrors(errors);
  let squaredLosses = 0;
  for await (const batch of dataset.batches(samples, batchSize, { signal })) {
    await engine.run(batch.feeds, { keep: true, signal });
    for (const loss of await placeTaskLoss(context, batch)) squaredLosses += loss * loss;
    const { values } = await project();
    for (let at = 0; at < values.length; at += errors.length) onSample(values.subarray(at, at + errors.length));
    stage.step(undefined, batch.indices.length);
  }
  // The engine's copies of the errors are as large as the model, for every format.
  await engine.graph.setErrors([]);
  onMeanSquaredLoss?.(squaredLosses / samplesRun(context));
}

function scoresOf(choices: readonly Choice[], squares: Float64Array, context: SensitivityContext): SiteScores {
  const scores: Record<string, SiteScore & { readonly cost: Partial<Record<Format, number>> }> = {};
  for (const [i, { site, format }] of choices.entries()) {
    scores[site.id] ??= { cost: {} };
    scores[site.id]!.cost[format] = squares[i]! / samplesRun(context);
  }
  return scores;
}
