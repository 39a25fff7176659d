import { quantizationError } from "../backend/kernels.js";
import type { Batch } from "../data/dataset.js";
import { BitwrightError } from "../errors.js";
import type { Format } from "../formats.js";
import { Stage } from "../progress.js";
import type { Criterion, SensitivityContext, Site, SiteScore } from "./criterion.js";

/** Probes before the standard errors are trusted. */
const fewestProbes = 8;
/** Estimates are good when every site's relative standard error is below. */
const enoughPrecision = 0.05;

/**
 * HAWQ-V2's criterion (Dong et al., 2019, section 3): Omega(b) = Tr(H)/n * |Q_b(t) - t|^2 for each weight and activation, halved so that it is the
 * second-order rise of the loss. Traces by Hutchinson's estimator on exact Hessian-vector products, all sites in one pass, with a fresh
 * Rademacher direction for every sample: the same products as a shared one and less variance. For activations the Hessian of the
 * summed loss is block diagonal over samples, so trace and error are means over samples.
 */
export const hessianTrace: Criterion = {
  name: "hessian-trace",
  async score(context) {
    const { sites, engine, samples, probes, seed, onProgress, signal } = context;
    const weights = sites.filter((site) => site.kind === "weight");
    const activations = sites.filter((site) => site.kind === "activation");
    const order = [...weights, ...activations];
    const perPass = Math.min(probes, 2);
    const passes = Math.ceil(probes / perPass);
    const stage = new Stage({ onProgress, signal }, "hessian-trace", passes * samples.length);
    // sums[probe][site]: over samples
    const sums: Float64Array[] = [];
    const errors = new Map(order.map((site) => [site.id, new Map<Format, number>()]));
    for (let pass = 0; pass < passes && !precise(sums, order.length); pass++) {
      const found = Array.from({ length: perPass }, () => new Float64Array(order.length));
      let first = 0;
      for await (const batch of context.dataset.batches(samples, context.batchSize, { signal })) {
        await engine.run(batch.feeds, { keep: true, signal });
        if (pass === 0) await addActivationErrors(context, activations, errors);
        await placeLoss(context, batch);
        await engine.graph.setSites({
          weights: weights.map((site) => engine.value(site.tensor)),
          edges: activations.map((site) => ({ node: engine.node(site.node), port: site.port })),
          probes: perPass,
          perSample: true,
          // Far from the passes of the next seed.
          seed: seed * 4096 + pass,
          firstSample: first,
        });
        const { forms, samples: count, sites: width } = await engine.graph.hessian({ signal });
        for (let i = 0; i < forms.length; i++) found[Math.floor(i / (count * width))]![i % width]! += forms[i]!;
        first += count;
        stage.step(undefined, count);
      }
      sums.push(...found);
    }
    for (const site of weights) await addWeightErrors(context, site, errors.get(site.id)!);
    const scores: Record<string, SiteScore> = {};
    for (const [i, site] of order.entries()) {
      const { mean, standardError } = statistics(sums.map((sum) => sum[i]! / samples.length));
      const cost: Partial<Record<Format, number>> = {};
      for (const [format, error] of errors.get(site.id)!) {
        const perSample = site.kind === "weight" ? error : error / samples.length;
        // A negative estimate says no more than that the site hardly matters.
        cost[format] = Math.max(0, (0.5 * mean * perSample) / site.elements);
      }
      // A single probe has no spread.
      scores[site.id] = { cost, trace: mean, ...(sums.length > 1 && { standardError }) };
    }
    return scores;
  },
};

/** Puts the loss on the engine's last run. */
async function placeLoss({ engine, dataset, loss }: SensitivityContext, batch: Batch): Promise<void> {
  const output = dataset.metric.output ?? engine.outputs[0]!;
  const value = engine.value(output);
  if (loss === "cross-entropy") {
    if (batch.labels === undefined) {
      throw new BitwrightError("invalid-option", "the cross-entropy loss needs labels", {
        remedy: "Give the data set labels, or take the loss kl",
      });
    }
    await engine.graph.loss({ kind: "cross-entropy", value, target: batch.labels });
    return;
  }
  const { data } = await engine.read(output);
  const kind = loss === "kl" ? "kl" : "squared-error";
  await engine.graph.loss({ kind, value, target: data as Float32Array });
}

async function addActivationErrors(
  { engine }: SensitivityContext,
  sites: readonly Site[],
  errors: ReadonlyMap<string, Map<Format, number>>,
): Promise<void> {
  for (const { id, tensor, quantizers } of sites) {
    const entries = [...quantizers];
    const grids = entries.map(([, { scales, zeroPoints, qmin, qmax }]) => ({
      scale: scales[0]!,
      zeroPoint: zeroPoints[0]!,
      qmin,
      qmax,
    }));
    const sums = new Float64Array(grids.length);
    await engine.graph.errors(engine.value(tensor), grids, sums);
    const known = errors.get(id)!;
    for (const [i, [format]] of entries.entries()) known.set(format, (known.get(format) ?? 0) + sums[i]!);
  }
}

async function addWeightErrors(
  { backend, weight }: SensitivityContext,
  site: Site,
  errors: Map<Format, number>,
): Promise<void> {
  const { data, dims } = weight(site);
  for (const [format, quantizer] of site.quantizers) {
    const [sums] = await quantizationError(backend, data, dims, [quantizer]);
    errors.set(
      format,
      sums!.reduce((total, sum) => total + sum, 0),
    );
  }
}

function precise(sums: readonly Float64Array[], sites: number): boolean {
  if (sums.length < fewestProbes) return false;
  return Array.from({ length: sites }, (_, i) => statistics(sums.map((sum) => sum[i]!))).every(
    ({ mean, standardError }) => standardError <= enoughPrecision * Math.abs(mean),
  );
}

/** Mean of independent estimates, and its standard error. */
function statistics(values: readonly number[]): { mean: number; standardError: number } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, n - 1);
  return { mean, standardError: n > 1 ? Math.sqrt(variance / n) : Number.POSITIVE_INFINITY };
}
