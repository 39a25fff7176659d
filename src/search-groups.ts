import { predictedCost } from "./analysis.js";
import { hasWeight } from "./export/layers.js";
import { type Format, formats, type LayerChoice } from "./formats.js";
import type { LayerGroup } from "./groups.js";
import type { GroupChoice, SearchGroup } from "./search/problem.js";
import type { SiteScores } from "./sensitivity/criterion.js";
import { type Interactions, type Matrix, predictingMatrix } from "./sensitivity/interactions.js";
import { activationSites, weightSite } from "./sensitivity/site-ids.js";
import { elementCount } from "./tensor.js";

/** What a search predicts losses from. */
export interface Predictions {
  readonly groups: readonly SearchGroup[];
  readonly interactions?: readonly Float64Array[];
}

/**
 * The groups with a criterion's predicted losses, and their interactions where the analysis has them. Terms between sites of one group are part of the
 * group's own costs.
 */
export function predictionsOf(
  layerGroups: readonly LayerGroup[],
  scores: SiteScores,
  interactions: Interactions,
): Predictions {
  const terms = interactions.source === "none" ? undefined : new Terms(interactions);
  const groups = layerGroups.map((group): SearchGroup => {
    const layers = group.layers.map(({ node }) => node);
    const choices = group.choices.map((choice) => ({
      choice,
      cost: layers.reduce((sum, node) => sum + predictedCost(scores, node, choice), terms?.within(group, choice) ?? 0),
    }));
    return { id: group.id, layers, choices: monotone(choices), sensitivity: sensitivityOf(group, choices, scores) };
  });
  const between = terms?.between(layerGroups);
  return {
    groups,
    ...(between !== undefined && hasPairs(layerGroups, between) && { interactions: between }),
  };
}

/** Whether anything is between two groups: where no term stands out of the noise the problem is separable, which is solved exactly. */
function hasPairs(groups: readonly LayerGroup[], interactions: readonly Float64Array[]): boolean {
  const owner = groups.flatMap(({ choices }, g) => choices.map(() => g));
  return interactions.some((row, i) => row.some((term, j) => term !== 0 && owner[i] !== owner[j]));
}

/**
 * Costs such that no wider format costs more: each is raised to the largest of those that are wider in the same way. Estimates are noisy, and a
 * solver would choose the noise.
 */
function monotone(choices: readonly GroupChoice[]): GroupChoice[] {
  return choices.map(({ choice }) => ({
    choice,
    cost: Math.max(...choices.filter((other) => covers(other.choice, choice)).map(({ cost }) => cost)),
  }));
}

function covers(wider: LayerChoice, choice: LayerChoice): boolean {
  return coversFormat(wider.weight, choice.weight) && coversFormat(wider.activation, choice.activation);
}

/** Whether a format is the other one, or holds its values closer: formats of different kinds cannot be compared by their width. */
function coversFormat(wider: Format, format: Format): boolean {
  if (wider === format || wider === "float") return true;
  const [a, b] = [formats[wider], formats[format]];
  return a.kind === b.kind && a.bits > b.bits;
}

/** The average Hessian trace of the weights where the criterion has traces; otherwise what the dearest choice costs. */
function sensitivityOf({ layers }: LayerGroup, choices: readonly GroupChoice[], scores: SiteScores): number {
  const weighted = layers.filter(hasWeight);
  const traces = weighted.map(({ node }) => scores[weightSite(node)]?.trace);
  if (traces.length === 0 || traces.some((trace) => trace === undefined))
    return Math.max(...choices.map(({ cost }) => cost));
  const elements = weighted.reduce((sum, { weight }) => sum + elementCount(weight.dims), 0);
  return traces.reduce<number>((sum, trace) => sum + trace!, 0) / elements;
}

/** Second-order terms between choices of layers, added up over their sites. */
class Terms {
  readonly #matrix: Matrix;
  readonly #indices: ReadonlyMap<string, number>;

  constructor(interactions: Interactions) {
    this.#matrix = predictingMatrix(interactions);
    this.#indices = new Map(interactions.choices.map(({ site, format }, i) => [`${site} ${format}`, i]));
  }

  /** Between the sites of one group that all take a choice; what each of them costs by itself is not among them. */
  within({ layers }: LayerGroup, choice: LayerChoice): number {
    const sites = layers.flatMap(({ node }) => this.#sites(node, choice));
    return sites.reduce((sum, a, i) => sum + sites.slice(i + 1).reduce((part, b) => part + this.#matrix[a]![b]!, 0), 0);
  }

  /** Between all choices of all groups; zero on the diagonal, whose terms are the costs. */
  between(groups: readonly LayerGroup[]): Float64Array[] {
    const all = groups.flatMap(({ layers, choices }) =>
      choices.map((choice) => layers.flatMap(({ node }) => this.#sites(node, choice))),
    );
    return all.map((a) =>
      Float64Array.from(all, (b) => {
        if (a === b) return 0;
        let sum = 0;
        for (const i of a) for (const j of b) sum += this.#matrix[i]![j]!;
        return sum;
      }),
    );
  }

  #sites(node: string, { weight, activation }: LayerChoice): number[] {
    const names = [`${weightSite(node)} ${weight}`, ...activationSites(node).map((site) => `${site} ${activation}`)];
    return names.flatMap((name) => this.#indices.get(name) ?? []);
  }
}
