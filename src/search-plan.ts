import { type Analysis, rangesOf } from "./analysis.js";
import { type Band, type BandResult, withinBand } from "./data/band.js";
import { standardErrorOfChange } from "./data/metrics/metric.js";
import { BitwrightError } from "./errors.js";
import { Evaluator } from "./evaluate/evaluator.js";
import type { Layout } from "./export/layout.js";
import type { PlannedLayer } from "./export/targets/target.js";
import type { LayerChoice } from "./formats.js";
import { groupLayers } from "./groups.js";
import { checkLimits } from "./limits.js";
import type { Limits, Objective } from "./options.js";
import type { Control } from "./progress.js";
import { searches } from "./search/index.js";
import type {
  Assignment,
  Judgement,
  Resource,
  ResourceName,
  SearchGroup,
  SearchProblem,
  SearchResult,
} from "./search/problem.js";
import { excessOf, predictedLoss, usedOf } from "./search/score.js";
import { predictionsOf } from "./search-groups.js";
import { footprintOf, resourcesOf } from "./search-resources.js";
import type { SiteScores } from "./sensitivity/criterion.js";
import type { CriterionName } from "./sensitivity/index.js";
import { withinMemory } from "./within-memory.js";
import { layoutOptions, type Workspace } from "./workspace.js";

/** A search that has ended, with the way from its assignments to layouts. */
export interface SearchOutcome {
  readonly groups: readonly SearchGroup[];
  readonly result: SearchResult;
  readonly scores: SiteScores;
  /** What the layers take under an assignment. */
  choices(assignment: Assignment): Map<string, LayerChoice>;
  layout(assignment: Assignment): Layout;
  /** What an assignment is predicted to cause and to use. */
  predict(assignment: Assignment): Predicted;
}

export interface Predicted {
  /** Rise of the mean loss. */
  readonly loss: number;
  readonly used: Readonly<Partial<Record<ResourceName, number>>>;
  /** Whether the limits on resources are met. */
  readonly withinLimits: boolean;
}

export interface SearchOptions extends Control {
  readonly limits: Limits;
  readonly criterion: CriterionName;
}

/**
 * Searches the best configuration inside the limits, guided by a saved analysis, with the engine as judge on the search split.
 * @throws BitwrightError `invalid-option` when a limit or the objective needs a latency model that the analysis lacks.
 */
export async function searchPlan(
  workspace: Workspace,
  analysis: Analysis,
  options: SearchOptions,
): Promise<SearchOutcome> {
  const { target, model, layers, options: run } = workspace;
  const { limits, criterion, onProgress, signal } = options;
  checkLimits(limits);
  const scores = analysis.criteria[criterion];
  if (scores === undefined) {
    throw new BitwrightError("invalid-option", "the analysis does not have this criterion", {
      where: "criterion",
      expected: Object.keys(analysis.criteria).join(", "),
      received: criterion,
    });
  }
  const ranges = rangesOf(analysis);
  const rounding = layoutOptions(workspace, analysis);
  const layerGroups = groupLayers(
    analysis.latency === undefined ? layers.map((layer) => onFloatKernel(layer, analysis)) : layers,
  );
  const predictions = predictionsOf(layerGroups, scores, analysis.interactions);
  const { groups } = predictions;
  checkLatency(analysis, limits, run.minimize);
  const layoutOf = (choices: ReadonlyMap<string, LayerChoice>) => target.layout(model, choices, ranges, rounding);
  const known = await resourcesOf(workspace, layerGroups, analysis.latency, layoutOf, limits, options);
  const resources = run.minimize === "both" ? [...known, footprintOf(known.filter(sizeOrTime))] : known;
  const choices = (assignment: Assignment) => choicesOf(groups, assignment);
  const layout = (assignment: Assignment) => layoutOf(choices(assignment));
  const band = limits.keep !== undefined || limits.maxKl !== undefined;
  const measure = band ? await bandJudge(workspace, limits, signal) : undefined;
  const problem: SearchProblem = {
    ...predictions,
    resources,
    minimize: minimized[run.minimize],
    band,
    seed: run.seed,
    evaluate: async (assignment) =>
      (await measure?.(layout(assignment))) ?? {
        metric: null,
        divergence: predictedLoss(problem, assignment),
        excess: 0,
      },
  };
  const result = await searches[run.search](problem, { onProgress, signal });
  return { groups, result, scores, choices, layout, predict: (assignment) => predict(problem, assignment) };
}

/** Judges layouts by a band, on the search split. */
async function bandJudge(
  { dataset, engine, simulator, divergence: kind, options }: Workspace,
  band: Band,
  signal: AbortSignal | undefined,
): Promise<(layout: Layout) => Promise<Judgement>> {
  const evaluator = await withinMemory(options.batchSize, (batchSize) =>
    Evaluator.create(engine, simulator, dataset, "search", { batchSize, divergence: kind, signal }),
  );
  const { float } = evaluator;
  const { higherIsBetter } = dataset.metric;
  return async (layout) => {
    const { metric, divergence, scores } = await evaluator.evaluate(layout);
    // The samples may be too few to tell the band from noise: what they do not speak against is for verification to judge.
    const doubt = standardErrorOfChange(float.scores, scores) * (higherIsBetter ? 1 : -1);
    const result = { float: float.metric, quantized: metric + doubt, higherIsBetter, kl: divergence };
    return { metric, divergence, excess: bandExcess(result, band) };
  };
}

function checkLatency({ latency }: Analysis, { maxLatency }: Limits, minimize: Objective): void {
  if (latency !== undefined || (maxLatency === undefined && minimize !== "latency")) return;
  throw new BitwrightError("invalid-option", "the analysis has no latencies", {
    where: maxLatency === undefined ? "minimize" : "max-latency",
    expected: "an analysis with a latency model",
    remedy: "Let analyze go on with --latency.",
  });
}

const minimized = { both: "footprint", size: "bytes", latency: "latencyMs" } as const satisfies Record<
  Objective,
  ResourceName
>;

/** Multiply-accumulates stand for time where that has not been measured. */
function sizeOrTime({ name }: Resource, _: number, known: readonly Resource[]): boolean {
  const time = known.some((resource) => resource.name === "latencyMs") ? "latencyMs" : "macs";
  return name === "bytes" || name === time;
}

/** A layer without the choices for integer kernels, if it runs faster on a float one. Where the time of every layer is known, the search decides instead. */
function onFloatKernel(layer: PlannedLayer, { floatKernels }: Analysis): PlannedLayer {
  if (!floatKernels.includes(layer.node)) return layer;
  return { ...layer, choices: layer.choices.filter(({ activation }) => activation === "float") };
}

/** By how much a band is left: the excess over each limit as a share of it, summed; 0 inside. */
function bandExcess(result: BandResult & { readonly kl: number }, band: Band): number {
  if (withinBand(result, band)) return 0;
  const { float, quantized, higherIsBetter, kl } = result;
  const { keep = 0, maxKl = Number.POSITIVE_INFINITY } = band;
  const lost = higherIsBetter ? 1 - quantized / (keep * float) : (quantized * keep) / float - 1;
  const excess = Math.max(0, lost) + Math.max(0, kl / maxKl - 1);
  // A figure that is not a number is outside of every band.
  return Number.isFinite(excess) ? Math.max(excess, Number.MIN_VALUE) : Number.MAX_VALUE;
}

function choicesOf(groups: readonly SearchGroup[], assignment: Assignment): Map<string, LayerChoice> {
  return new Map(
    groups.flatMap(({ layers, choices }, g) => layers.map((node) => [node, choices[assignment[g]!]!.choice] as const)),
  );
}

function predict(problem: SearchProblem, assignment: Assignment): Predicted {
  const { groups, resources } = problem;
  const used = resources.map((resource) => usedOf(groups, resource, assignment));
  return {
    loss: predictedLoss(problem, assignment),
    used: Object.fromEntries(resources.map(({ name }, r) => [name, used[r]!])),
    withinLimits: excessOf(resources, used) === 0,
  };
}
