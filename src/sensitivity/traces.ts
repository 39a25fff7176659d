import { Stage } from "../progress.js";
import type { SensitivityContext, Site } from "./criterion.js";
import { placeLoss } from "./place-loss.js";
import { samplesRun } from "./samples-run.js";

/** Probes before the standard errors are trusted. */
const fewestProbes = 8;
/** An estimate is good when its relative standard error is below. */
const enoughPrecision = 0.05;
/** Probes that share the primal values and one product per layer; more would hold more tangents at a time. */
const probesPerPass = 2;

/** A Hutchinson estimate of the trace of one site's block of the loss's Hessian, a mean over samples. */
export interface Trace {
  readonly mean: number;
  /** From the spread of the probes: how far the mean is from these samples' exact trace. Absent for a single probe. */
  readonly standardError?: number;
  readonly probes: number;
}

/** What of a context traces depend on. */
export type TraceContext = Pick<
  SensitivityContext,
  | "engine"
  | "dataset"
  | "samples"
  | "batchSize"
  | "loss"
  | "probes"
  | "probing"
  | "weightProbes"
  | "seed"
  | "onProgress"
  | "signal"
>;

/**
 * Traces by Hutchinson's estimator E[v^T H v], v Rademacher, on exact Hessian-vector products (Dong et al., HAWQ-V2, 2019, section 3).
 *
 * The loss is a sum over samples, so its Hessian in an activation of the whole data set is block diagonal: every sample gets a fresh direction,
 * and trace and error are means over samples. Weights get fresh directions for every sample as well, at the same number of products and with
 * less variance, unless `weightProbes` says that all samples share one.
 *
 * `probing` "network" takes H v along all sites at once: site i's estimate carries v_i^T H_ij v_j of the others, which vanishes in the mean and adds
 * sum_j |H_ij|_F^2 to the variance. "site" takes one site at a time and has neither.
 *
 * Probes go on until each site's relative standard error is small, or `probes` are spent. Alone, a precise site is left out of the passes that
 * follow; together, passes end when all are precise.
 * @param onRun - Called once for every batch while its values are in the engine.
 * @returns The estimates by the sites' ids.
 */
export async function estimateTraces(
  context: TraceContext,
  sites: readonly Site[],
  { stage: name, onRun }: { readonly stage: string; readonly onRun?: () => Promise<void> },
): Promise<Map<string, Trace>> {
  const { engine, samples, probes, seed, probing = "network", weightProbes = "per-sample", signal } = context;
  // The engine takes weights first.
  const inOrder = [...sites].sort((a, b) => Number(a.kind === "activation") - Number(b.kind === "activation"));
  const sets = probing === "network" ? [inOrder] : inOrder.map((site) => [site]);
  const passes = Math.ceil(probes / probesPerPass);
  const stage = new Stage(context, name, passes * samplesRun(context) * sets.length);
  // A mean over samples for each probe.
  const found = new Map(inOrder.map(({ id }): [string, number[]] => [id, []]));
  for (let pass = 0; pass < passes; pass++) {
    const open = sets.filter((set) => !set.every(({ id }) => isPrecise(found.get(id)!)));
    if (open.length === 0 && pass > 0) break;
    const perPass = Math.min(probesPerPass, probes - pass * probesPerPass);
    const sums = new Map(inOrder.map(({ id }) => [id, new Float64Array(perPass)]));
    let firstSample = 0;
    for await (const batch of context.dataset.batches(samples, context.batchSize, { signal })) {
      await engine.run(batch.feeds, { keep: true, signal });
      if (pass === 0) await onRun?.();
      if (open.length > 0) await placeLoss(context, batch);
      for (const set of open) {
        await engine.graph.setSites({
          weights: set.filter(({ kind }) => kind === "weight").map(({ tensor }) => engine.value(tensor)),
          edges: set
            .filter(({ kind }) => kind === "activation")
            .map(({ node, port }) => ({ node: engine.node(node), port })),
          probes: perPass,
          perSample: weightProbes === "per-sample",
          // Far from the passes of the next seed.
          seed: seed * 4096 + pass,
          firstSample,
        });
        const forms = await engine.graph.hessian({ signal });
        for (const [i, { id }] of set.entries()) addForms(forms, i, sums.get(id)!);
        stage.step(undefined, batch.indices.length);
      }
      firstSample += batch.indices.length;
    }
    for (const { id } of open.flat()) found.get(id)!.push(...sums.get(id)!.map((sum) => sum / samplesRun(context)));
  }
  return new Map(inOrder.map(({ id }) => [id, traceOf(found.get(id)!)]));
}

/** Adds v^T H v of one site to `sums`, probe by probe, over samples. */
function addForms(
  { forms, samples, sites }: { readonly forms: Float64Array; readonly samples: number; readonly sites: number },
  site: number,
  sums: Float64Array,
): void {
  for (let probe = 0; probe < sums.length; probe++) {
    for (let n = 0; n < samples; n++) sums[probe]! += forms[(probe * samples + n) * sites + site]!;
  }
}

function isPrecise(estimates: readonly number[]): boolean {
  if (estimates.length < fewestProbes) return false;
  const { mean, standardError } = traceOf(estimates);
  return standardError! <= enoughPrecision * Math.abs(mean);
}

/** Mean of independent estimates, and its standard error. */
function traceOf(estimates: readonly number[]): Trace {
  const n = estimates.length;
  const mean = estimates.reduce((sum, estimate) => sum + estimate, 0) / n;
  if (n < 2) return { mean, probes: n };
  const variance = estimates.reduce((sum, estimate) => sum + (estimate - mean) ** 2, 0) / (n - 1);
  return { mean, standardError: Math.sqrt(variance / n), probes: n };
}
