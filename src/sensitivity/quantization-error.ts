import type { Format } from "../formats.js";
import { Stage } from "../progress.js";
import type { Criterion, SiteScore } from "./criterion.js";
import { activationRounding, addRounding, type Rounding, weightRounding } from "./rounding.js";

/**
 * |Q(t) - t|^2 / |t|^2, the inverse of the signal-to-noise ratio: how large the errors are, whatever they do to the outputs. One of the three metrics
 * that arXiv 2302.01382 names; that it is relative, and squared, is our reading. Of an activation, sums run over all samples.
 */
export const relativeError: Criterion = {
  name: "quantization-error",
  readsWeightsAlone: true,
  async score(context) {
    const { engine, dataset, sites, samples, batchSize, signal } = context;
    const activations = sites.filter((site) => site.kind === "activation");
    const tensors = activations.map(({ tensor }) => tensor);
    const roundings = new Map<string, Rounding>();
    const passes = activations.length === 0 ? 0 : samples.length;
    const stage = new Stage(context, "quantization-error", passes + sites.length - activations.length);
    for await (const batch of dataset.batches(samples.slice(0, passes), batchSize, { signal })) {
      await engine.run(batch.feeds, { values: tensors, signal });
      for (const site of activations) addRounding(roundings, site, await activationRounding(context, site));
      stage.step(undefined, batch.indices.length);
    }
    const scores: Record<string, SiteScore> = {};
    for (const site of sites) {
      const { errors, squares } =
        site.kind === "weight" ? await weightRounding(context, site) : roundings.get(site.id)!;
      if (site.kind === "weight") stage.step(site.node);
      const cost: Partial<Record<Format, number>> = {};
      // Nothing is lost of a tensor that is zero.
      for (const [format, error] of errors) cost[format] = squares === 0 ? 0 : error / squares;
      scores[site.id] = { cost };
    }
    return scores;
  },
};
