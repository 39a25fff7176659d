import type { Format } from "../formats.js";
import { Stage } from "../progress.js";
import type { Criterion, SensitivityContext, SiteScore, WeightSite } from "./criterion.js";
import { normalStream } from "./draws.js";
import { noiseVariance, weightNoise } from "./rounding-noise.js";
import { estimateTraces } from "./traces.js";

/**
 * The rise of the divergence under Gaussian noise with the variance of each format's rounding: how much a site minds errors of that size in no
 * particular direction. One of the three metrics that arXiv 2302.01382 names; the noise's size and kind are our reading.
 *
 * Noise on a weight is added and the outputs are measured. The engine adds none to activations; theirs is the mean to second order, Tr(H) sigma^2 / 2
 * with H the Hessian of the divergence, whose gradient is zero.
 */
export const noise: Criterion = {
  name: "noise",
  async score(context) {
    const { sites } = context;
    const weights = sites.filter((site) => site.kind === "weight");
    const stage = new Stage(
      context,
      "noise",
      weights.reduce((sum, { quantizers }) => sum + quantizers.size, 0),
    );
    const scores: Record<string, SiteScore> = {};
    for (const [i, site] of weights.entries()) {
      const cost: Partial<Record<Format, number>> = {};
      for (const format of site.quantizers.keys()) {
        cost[format] = await measuredRise(context, site, format, i);
        stage.step(site.id);
      }
      scores[site.id] = { cost };
    }
    Object.assign(scores, await activationRises(context));
    return Object.fromEntries(sites.map(({ id }) => [id, scores[id]!]));
  },
};

/** The mean divergence with one draw of noise on a weight. */
async function measuredRise(
  context: SensitivityContext,
  site: WeightSite,
  format: Format,
  stream: number,
): Promise<number> {
  const { engine, evaluator, weight, seed } = context;
  const normal = normalStream(seed, stream);
  const { data } = weight(site);
  const noisy = weightNoise(context, site, format).map((variance, i) => data[i]! + Math.sqrt(variance) * normal());
  await engine.setConstant(site.tensor, noisy);
  try {
    return (await evaluator.evaluate({ weights: [], biases: [], edges: [] })).divergence;
  } finally {
    await engine.setConstant(site.tensor, undefined);
  }
}

async function activationRises(context: SensitivityContext): Promise<Record<string, SiteScore>> {
  const activations = context.sites.filter((site) => site.kind === "activation");
  if (activations.length === 0) return {};
  const loss = context.divergence === "kl" ? "kl" : "mse";
  const traces = await estimateTraces({ ...context, loss }, activations, { stage: "noise" });
  const scores: Record<string, SiteScore> = {};
  for (const { id, quantizers } of activations) {
    const { mean } = traces.get(id)!;
    const cost: Partial<Record<Format, number>> = {};
    for (const [format, quantizer] of quantizers)
      cost[format] = Math.max(0, 0.5 * mean * noiseVariance(quantizer).constant);
    scores[id] = { cost };
  }
  return scores;
}
