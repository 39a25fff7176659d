import type { Format } from "../formats.js";
import type { Criterion, SiteScore } from "./criterion.js";
import { type InteractionSource, predictLoss } from "./interactions.js";

/**
 * Criteria that are a diagonal of the interactions: the second-order rise of the loss along each choice's true error, 1/2 e^T H e. Bias corrections
 * count as part of the error.
 */
function alongErrors(name: string, source: InteractionSource): Criterion {
  return {
    name,
    async score({ sites, interactions: compute }) {
      const interactions = await compute(source);
      const scores = new Map(sites.map(({ id }) => [id, { costs: new Map<Format, number>(), error: 0 }]));
      for (const [i, { site, format }] of interactions.choices.entries()) {
        const { loss, standardError = 0 } = predictLoss(interactions, [i]);
        const score = scores.get(site)!;
        // The Hessian may curve downwards; what improves the model costs nothing.
        score.costs.set(format, Math.max(0, loss));
        score.error = Math.max(score.error, standardError);
      }
      return Object.fromEntries(
        [...scores].map(([id, { costs, error }]): [string, SiteScore] => [
          id,
          { cost: Object.fromEntries(costs), ...(error > 0 && { standardError: error }) },
        ]),
      );
    },
  };
}

/** Gauss-Newton curvature, estimated by Fisher probes: our own. The standard error is that of the costliest format, over samples and probes. */
export const curvature = alongErrors("curvature", "fisher");

/** Gauss-Newton curvature, exact. */
export const gaussNewton = alongErrors("gauss-newton", "gauss-newton");

/** Curvature of the whole Hessian, exact. */
export const hessian = alongErrors("hessian", "hessian");
