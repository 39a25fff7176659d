import { type Analysis, predictedCost, rangesOf } from "./analysis.js";
import { layerBytes } from "./cost/bytes.js";
import { withinBand } from "./data/band.js";
import { standardErrorOfChange } from "./data/metrics/metric.js";
import { Evaluator } from "./evaluate/evaluator.js";
import type { Layout } from "./export/layout.js";
import type { PlannedLayer } from "./export/targets/target.js";
import { choiceKey, type LayerChoice } from "./formats.js";
import type { Limits } from "./options.js";
import type { Control } from "./progress.js";
import { searches } from "./search/index.js";
import type { Assignment, SearchGroup, SearchProblem, SearchResult } from "./search/problem.js";
import type { SiteScores } from "./sensitivity/criterion.js";
import type { CriterionName } from "./sensitivity/index.js";
import { layoutOptions, type Workspace } from "./workspace.js";

/** A search that has ended, with the way from its assignments to layouts. */
export interface SearchOutcome {
  readonly groups: readonly SearchGroup[];
  readonly result: SearchResult;
  readonly scores: SiteScores;
  /** What the layers take under an assignment. */
  choices(assignment: Assignment): Map<string, LayerChoice>;
  layout(assignment: Assignment): Layout;
}

export interface SearchOptions extends Control {
  readonly limits: Limits;
  readonly criterion: CriterionName;
}

/** Searches the smallest configuration inside the limits, guided by a saved analysis, with the engine as judge on the search split. */
export async function searchPlan(
  workspace: Workspace,
  analysis: Analysis,
  options: SearchOptions,
): Promise<SearchOutcome> {
  const { dataset, engine, simulator, target, model, layers, options: run } = workspace;
  const { limits, criterion, onProgress, signal } = options;
  const scores = analysis.criteria[criterion]!;
  const ranges = rangesOf(analysis);
  const rounding = layoutOptions(workspace, analysis.biasShifts);
  const groups = searchGroups(
    layers.map((layer) => onFloatKernel(layer, analysis)),
    scores,
  );
  const evaluator = await Evaluator.create(engine, simulator, dataset, "search", {
    batchSize: run.batchSize,
    divergence: workspace.divergence,
    signal,
  });
  const choices = (assignment: Assignment) => choicesOf(groups, assignment);
  const layout = (assignment: Assignment) => target.layout(model, choices(assignment), ranges, rounding);
  const problem: SearchProblem = {
    groups,
    async evaluate(assignment) {
      const { metric, divergence, scores } = await evaluator.evaluate(layout(assignment));
      const { float } = evaluator;
      const { higherIsBetter } = dataset.metric;
      // The samples may be too few to tell the band from noise: what they do not speak against is for verification to judge.
      const doubt = standardErrorOfChange(float.scores, scores) * (higherIsBetter ? 1 : -1);
      const result = { float: float.metric, quantized: metric + doubt, higherIsBetter, kl: divergence };
      return { metric, divergence, feasible: withinBand(result, limits) };
    },
  };
  const result = await searches[run.search](problem, { onProgress, signal });
  return { groups, result, scores, choices, layout };
}

/** A layer without the choices for integer kernels, if it runs faster on a float one. */
function onFloatKernel(layer: PlannedLayer, { floatKernels }: Analysis): PlannedLayer {
  if (!floatKernels.includes(layer.node)) return layer;
  return { ...layer, choices: layer.choices.filter(({ activation }) => activation === "float") };
}

function searchGroups(layers: readonly PlannedLayer[], scores: SiteScores): SearchGroup[] {
  const members = new Map<string, PlannedLayer[]>();
  for (const layer of layers) members.set(layer.group, [...(members.get(layer.group) ?? []), layer]);
  return [...members].map(([id, group]) => ({
    id: group.length === 1 ? group[0]!.node : id,
    layers: group.map(({ node }) => node),
    choices: sharedChoices(group).map((choice) => ({
      choice,
      cost: group.reduce((sum, { node }) => sum + predictedCost(scores, node, choice), 0),
      bytes: group.reduce((sum, layer) => sum + layerBytes(layer, choice), 0),
    })),
  }));
}

/** The choices that every layer of a group has; float is always among them, first. */
function sharedChoices(group: readonly PlannedLayer[]): LayerChoice[] {
  const [first, ...others] = group.map(({ choices }) => choices);
  return first!.filter((choice) =>
    others.every((choices) => choices.some((other) => choiceKey(other) === choiceKey(choice))),
  );
}

function choicesOf(groups: readonly SearchGroup[], assignment: Assignment): Map<string, LayerChoice> {
  return new Map(
    groups.flatMap(({ layers, choices }, g) => layers.map((node) => [node, choices[assignment[g]!]!.choice] as const)),
  );
}
