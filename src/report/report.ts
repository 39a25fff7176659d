import type { Analysis } from "../analysis.js";
import type { Format } from "../formats.js";
import type { Plan, PlanLayer } from "../plan.js";
import type { SiteScores } from "../sensitivity/criterion.js";
import { activationSites, weightSite } from "../sensitivity/site-ids.js";

/** All that a report shows, as plain data: what `--json` writes, and what the renderers turn into text and HTML. */
export interface Report {
  readonly version: 1;
  readonly about: About;
  readonly plan: Plan;
  readonly layers: readonly ReportLayer[];
  /** The formats that were chosen, the widest first. */
  readonly choices: readonly ChosenFormat[];
  /** What each criterion of the analysis predicted. */
  readonly sensitivities: readonly Sensitivity[];
}

/** What was run, where. */
export interface About {
  /** Of bitwright. */
  readonly version: string;
  /** Names of the files, without their folders. */
  readonly model: string;
  readonly output: string;
  readonly machine: Machine;
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
}

export interface ReportLayer extends PlanLayer {
  /** Elements of the weight. */
  readonly elements: number;
}

/** How much of the model has a pair of formats. */
export interface ChosenFormat {
  readonly weight: Format;
  readonly activation: Format;
  readonly layers: number;
  /** Elements of their weights. */
  readonly elements: number;
}

/** The predicted rise of the loss for one kind of site in one format, layer by layer in the order of the report's layers. */
export interface Sensitivity {
  readonly criterion: string;
  readonly kind: "weight" | "activation";
  readonly format: Format;
  /** null where the layer cannot take the format. */
  readonly costs: readonly (number | null)[];
}

/** Joins what was decided with what it was decided on. */
export function reportOf(about: About, plan: Plan, analysis: Analysis): Report {
  const elements = new Map(analysis.sites.map((site) => [site.id, site.elements]));
  const layers = plan.layers.map((layer) => ({ ...layer, elements: elements.get(weightSite(layer.node)) ?? 0 }));
  return { version: 1, about, plan, layers, choices: chosen(layers), sensitivities: sensitivities(layers, analysis) };
}

function chosen(layers: readonly ReportLayer[]): ChosenFormat[] {
  const found = new Map<string, ChosenFormat>();
  for (const { weightFormat: weight, activationFormat: activation, elements } of layers) {
    const key = `${weight}/${activation}`;
    const known = found.get(key);
    found.set(key, {
      weight,
      activation,
      layers: (known?.layers ?? 0) + 1,
      elements: (known?.elements ?? 0) + elements,
    });
  }
  return [...found.values()].sort((a, b) => b.elements - a.elements);
}

function sensitivities(layers: readonly ReportLayer[], { criteria, sites }: Analysis): Sensitivity[] {
  const kinds = [...new Set(sites.map(({ kind }) => kind))];
  return Object.entries(criteria).flatMap(([criterion, scores]) =>
    kinds.flatMap((kind) => {
      const costs = layers.map(({ node }) =>
        costsOf(scores, kind === "weight" ? [weightSite(node)] : activationSites(node)),
      );
      const formats = [...new Set(costs.flatMap((cost) => [...cost.keys()]))];
      return formats.map((format) => ({
        criterion,
        kind,
        format,
        costs: costs.map((cost) => cost.get(format) ?? null),
      }));
    }),
  );
}

/** What formats cost a layer in sum over some of its sites. */
function costsOf(scores: SiteScores, sites: readonly string[]): Map<Format, number> {
  const costs = new Map<Format, number>();
  for (const site of sites) {
    for (const [format, cost] of Object.entries(scores[site]?.cost ?? {}) as [Format, number][]) {
      costs.set(format, (costs.get(format) ?? 0) + cost);
    }
  }
  return costs;
}
