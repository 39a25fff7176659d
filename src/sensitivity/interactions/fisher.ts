import type { TensorError } from "../../backend/graph-types.js";
import { encodeFloats } from "../../base64.js";
import { Stage } from "../../progress.js";
import { isOutOfMemory } from "../../within-memory.js";
import { placeLoss } from "../place-loss.js";
import { samplesRun } from "../samples-run.js";
import { type ChoiceErrors, choiceErrors } from "./choice-errors.js";
import { GramSums } from "./gram-sums.js";
import { batchFor, type Source, type SourceContext } from "./source.js";

/** Probes whose adjoints are propagated together: between the likeliest classes, as many, their products average to nothing. */
const probesPerPass = 16;

/** Part of the engine's memory that errors of weights may fill; the model and its activations have the rest. */
const errorShare = 1 / 4;

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
  const { probes } = context;
  const declared = choiceErrors(context);
  const width = declared.choices.length;
  const all = await projectionsWithinMemory(context, declared);
  const sums = new GramSums(declared);
  const total = samplesRun(context);
  const kept = new Float32Array(probes * total * width);
  for (let n = 0; n < total; n++) {
    for (let k = 0; k < probes; k++) {
      const at = k * total + n;
      sums.add(all.subarray(at * declared.errors.length, (at + 1) * declared.errors.length));
      kept.set(sums.corrected, at * width);
    }
  }
  const choices = declared.choices.map(({ site, format }) => ({ site: site.id, format }));
  return {
    source: "fisher",
    choices,
    ...sums.means(probes * total),
    projections: { probes, samples: total, data: encodeFloats(kept) },
  };
};

/** In as few parts as the engine's memory allows: each takes passes of its own, with the same cotangents. */
async function projectionsWithinMemory(context: SourceContext, declared: ChoiceErrors): Promise<Float64Array> {
  const { engine, memory = engine.backend.memory } = context;
  // Those of activations take nothing, and stay together.
  const most = partsOf(declared, 0).length;
  for (let bytes = memory * errorShare; ; bytes /= 2) {
    const parts = partsOf(declared, bytes);
    let held = false;
    try {
      return await projections(context, declared.errors, parts, () => {
        held = true;
      });
    } catch (error) {
      if (!isOutOfMemory(error) || parts.length >= most) throw error;
      // Passes beside errors that fit take less in smaller batches, or with activations recomputed; both cost less time than more parts.
      if (held && !engine.recomputes) throw error;
    }
  }
}

/** Indices of errors. */
type Part = readonly number[];

/**
 * Errors whose tensors take no more than so many bytes, or a single one, with all errors that take nothing: those of activations. These are in every part, since
 * a cotangent is rounded differently where an activation's share of it is wanted by itself, and results are not to depend on parts.
 */
function partsOf({ bytes }: ChoiceErrors, most: number): Part[] {
  const all = [...bytes.keys()];
  const parts: number[][] = [];
  let size = 0;
  for (const error of all.filter((i) => bytes[i]! > 0)) {
    size += bytes[error]!;
    if (parts.length === 0 || size > most) {
      parts.push([]);
      size = bytes[error]!;
    }
    parts.at(-1)!.push(error);
  }
  const everywhere = all.filter((i) => bytes[i] === 0);
  return parts.length === 0 ? [everywhere] : parts.map((part) => [...part, ...everywhere].sort((a, b) => a - b));
}

/** [probe][sample][error] */
async function projections(
  context: SourceContext,
  errors: readonly TensorError[],
  parts: readonly Part[],
  onHeld: () => void,
): Promise<Float64Array> {
  const { engine, dataset, samples, probes, seed, onProgress, signal } = context;
  const total = samplesRun(context);
  const count = errors.length;
  const all = new Float64Array(probes * total * count);
  const stage = new Stage({ onProgress, signal }, "fisher probes", probes * total * parts.length);
  const perPass = Math.min(probes, probesPerPass);
  for (const part of parts) {
    await engine.graph.forget();
    await engine.graph.setErrors(part.map((error) => errors[error]!));
    onHeld();
    let first = 0;
    for await (const batch of dataset.batches(samples, batchFor(context, perPass), { signal })) {
      await engine.run(batch.feeds, { keep: true, signal });
      await placeLoss(context, batch);
      for (let pass = 0; pass * perPass < probes; pass++) {
        const inPass = Math.min(perPass, probes - pass * perPass);
        // Far from the passes of the next seed.
        const of = { source: "fisher", probes: inPass, seed: seed * 4096 + pass, firstSample: first } as const;
        const found = await engine.graph.project(of, { signal });
        for (let k = 0; k < inPass; k++) {
          for (let n = 0; n < found.samples; n++) {
            const row = found.values.subarray((k * found.samples + n) * found.errors).subarray(0, found.errors);
            const at = ((pass * perPass + k) * total + first + n) * count;
            for (const [i, error] of part.entries()) all[at + error] = row[i]!;
          }
        }
        stage.step(undefined, inPass * batch.indices.length);
      }
      first += batch.indices.length;
    }
  }
  return all;
}
