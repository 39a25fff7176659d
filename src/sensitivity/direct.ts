import type { Format } from "../formats.js";
import { Stage } from "../progress.js";
import type { Criterion, SiteScore } from "./criterion.js";

/**
 * Quantizes one site at a time and measures what it does to the outputs: slow, and what other criteria are judged against. Goes on where an interrupted
 * run stopped.
 */
export const direct: Criterion = {
  name: "direct",
  async score({ sites, evaluator, known, onScores, onProgress, signal }) {
    const total = sites.reduce((sum, site) => sum + site.quantizers.size, 0);
    const stage = new Stage({ onProgress, signal }, "direct", total);
    let scores: Readonly<Record<string, SiteScore>> = known;
    for (const site of sites) {
      if (known[site.id] !== undefined) {
        stage.step(site.id, site.quantizers.size);
        continue;
      }
      const cost: Partial<Record<Format, number>> = {};
      for (const format of site.quantizers.keys()) {
        cost[format] = (await evaluator.evaluate(site.alone(format))).divergence;
        stage.step(site.id);
      }
      scores = { ...scores, [site.id]: { cost } };
      await onScores(scores);
    }
    return scores;
  },
};
