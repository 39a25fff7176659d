import type { Format } from "../formats.js";
import type { LayoutParts } from "../evaluate/simulator.js";
import { Stage } from "../progress.js";
import type { Quantizer } from "../quantizer.js";
import type { Criterion, Site, SiteScore } from "./criterion.js";

/** Quantizes one site at a time and measures what it does to the outputs: slow, and what other criteria are judged against. */
export const direct: Criterion = {
  name: "direct",
  async score({ sites, evaluator, onProgress, signal }) {
    const total = sites.reduce((sum, site) => sum + site.quantizers.size, 0);
    const stage = new Stage({ onProgress, signal }, "direct", total);
    const scores: Record<string, SiteScore> = {};
    for (const site of sites) {
      const cost: Partial<Record<Format, number>> = {};
      for (const [format, quantizer] of site.quantizers) {
        cost[format] = (await evaluator.evaluate(only(site, format, quantizer))).divergence;
        stage.step(site.id);
      }
      scores[site.id] = { cost };
    }
    return scores;
  },
};

/** The layout in which this site alone is quantized. */
function only({ kind, node, port, tensor }: Site, format: Format, quantizer: Quantizer): LayoutParts {
  if (kind === "activation") return { weights: [], biases: [], edges: [{ node, port, tensor, quantizer }] };
  const storage = format === "int4" ? "int4" : "int8";
  return { weights: [{ node, port, initializer: tensor, quantizer, storage, kernel: "float" }], biases: [], edges: [] };
}
