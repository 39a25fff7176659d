import { encodeFloats } from "../../base64.js";
import { Stage } from "../../progress.js";
import { placeLoss } from "../place-loss.js";
import { samplesRun } from "../samples-run.js";
import { choiceErrors } from "./choice-errors.js";
import { GramSums } from "./gram-sums.js";
import { batchFor, type Source } from "./source.js";

/** Probes whose adjoints are propagated together: between the likeliest classes, as many, their products average to nothing. */
const probesPerPass = 16;

/**
 * The Gauss-Newton matrix of the loss by Fisher probes. With a random cotangent whose covariance is the Hessian of the loss in the output, each
 * sample's projections u_i = <dL/dt_i, e_i> have E[u_i u_j] = e_i^T J^T F J e_j: K backward passes estimate every diagonal and cross term of
 * all weights, activations and formats at once, positive semi-definite by construction. The error falls as 1 / sqrt(K) or faster: it comes from pairs of
 * classes beyond the likeliest sixteen.
 *
 * Softmax losses: F = diag(p) - p p^T for each row of the output, so `kl` and `cross-entropy` have the same matrix, and for `kl` it is the whole
 * Hessian. Squared error: F = 1.
 */
export const fisher: Source = async (context) => {
  const { engine, dataset, samples, probes, seed, onProgress, signal } = context;
  const declared = await choiceErrors(context);
  const width = declared.choices.length;
  const sums = new GramSums(declared);
  const total = samplesRun(context);
  const kept = new Float32Array(probes * total * width);
  const stage = new Stage({ onProgress, signal }, "fisher probes", probes * total);
  await engine.graph.setErrors(declared.errors);
  const perPass = Math.min(probes, probesPerPass);
  let first = 0;
  for await (const batch of dataset.batches(samples, batchFor(context, perPass), { signal })) {
    const count = batch.indices.length;
    await engine.run(batch.feeds, { keep: true, signal });
    await placeLoss(context, batch);
    const found: Float64Array[] = [];
    for (let pass = 0; pass * perPass < probes; pass++) {
      const inPass = Math.min(perPass, probes - pass * perPass);
      // Far from the passes of the next seed.
      const of = { source: "fisher", probes: inPass, seed: seed * 4096 + pass, firstSample: first } as const;
      const { values, errors } = await engine.graph.project(of, { signal });
      for (let at = 0; at < values.length; at += errors) found.push(values.subarray(at, at + errors));
      stage.step(undefined, inPass * count);
    }
    for (let n = 0; n < count; n++) {
      for (let k = 0; k < probes; k++) {
        sums.add(found[k * count + n]!);
        kept.set(sums.corrected, (k * total + first + n) * width);
      }
    }
    first += count;
  }
  const choices = declared.choices.map(({ site, format }) => ({ site: site.id, format }));
  return {
    source: "fisher",
    choices,
    ...sums.means(probes * total),
    projections: { probes, samples: total, data: encodeFloats(kept) },
  };
};
