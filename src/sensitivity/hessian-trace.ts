import type { Format } from "../formats.js";
import type { Criterion, SiteScore } from "./criterion.js";
import { activationRounding, addRounding, type Rounding, weightRounding } from "./rounding.js";
import { estimateTraces } from "./traces.js";

/**
 * HAWQ-V2's criterion (Dong et al., 2019, section 3): Omega(b) = Tr(H)/n * |Q_b(t) - t|^2 for each weight and activation, n its elements, halved so
 * that it is the second-order rise of the loss if the error had no direction. Of an activation, trace, error and n are means over samples.
 */
export const hessianTrace: Criterion = {
  name: "hessian-trace",
  async score(context) {
    const { sites } = context;
    const activations = sites.filter((site) => site.kind === "activation");
    const roundings = new Map<string, Rounding>();
    const traces = await estimateTraces(context, sites, {
      stage: "hessian-trace",
      onRun: async () => {
        for (const site of activations) addRounding(roundings, site, await activationRounding(context, site));
      },
    });
    const scores: Record<string, SiteScore> = {};
    for (const site of sites) {
      const { mean: trace, standardError } = traces.get(site.id)!;
      const { errors, elements } =
        site.kind === "weight" ? await weightRounding(context, site) : roundings.get(site.id)!;
      const cost: Partial<Record<Format, number>> = {};
      for (const [format, error] of errors) {
        // A negative estimate says no more than that the site hardly matters.
        cost[format] = Math.max(0, 0.5 * trace * (error / elements));
      }
      scores[site.id] = { cost, trace, ...(standardError !== undefined && { standardError }) };
    }
    return scores;
  },
};
