import { type Analysis, rangesOf } from "./analysis.js";
import { type Band, type BandResult, withinBand, worstFigure } from "./data/band.js";
import { standardErrorOfChange } from "./data/figure-change.js";
import { BitwrightError } from "./errors.js";
import { Evaluator } from "./evaluate/evaluator.js";
import type { Searched } from "./explain.js";
import type { Layout } from "./export/layout.js";
import { exportModel } from "./export/qdq.js";
import type { PlannedLayer } from "./export/targets/target.js";
import type { LayerChoice } from "./formats.js";
import { demand } from "./given.js";
import { groupLayers } from "./groups.js";
import { checkLimits } from "./limits.js";
import type { OnnxModel } from "./onnx/model.js";
import type { Limits, Objective } from "./options.js";
import type { Control } from "./progress.js";
import { searches } from "./search/index.js";
import { costsOf } from "./search/integer-program.js";
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
import { fileBytes, footprintOf, resourcesOf } from "./search-resources.js";
import type { SiteScores } from "./sensitivity/criterion.js";
import { type CriterionName, lossErrorCriteria } from "./sensitivity/index.js";
import { withinMemory } from "./within-memory.js";
import { layoutOptions, type Workspace } from "./workspace.js";

/** A search that has ended, with the way from its assignments to layouts. */
export interface SearchOutcome extends Searched {
  readonly groups: readonly SearchGroup[];
  readonly scores: SiteScores;
  /** What the layers take under an assignment. */
  choices(assignment: Assignment): Map<string, LayerChoice>;
  layout(assignment: Assignment): Layout;
  /** The model as a file has it under an assignment. */
  exported(assignment: Assignment): OnnxModel;
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
  demand("workspace", workspace);
  demand("analysis", analysis);
  demand("options", options);
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
    analysis.latency === undefined ? layers.map((layer) => onFloatKernel(layer, analysis, limits)) : layers,
  );
  const predictions = predictionsOf(layerGroups, scores, analysis.interactions);
  const { groups } = predictions;
  checkLatency(analysis, limits, run.minimize);
  const layoutOf = (choices: ReadonlyMap<string, LayerChoice>) => target.layout(model, choices, ranges, rounding);
  const known = await resourcesOf(workspace, layerGroups, analysis.latency, layoutOf, limits, options);
  const resources = [
    ...known,
    ...(run.minimize === "both" ? [footprintOf(known.filter(sizeOrTime))] : []),
    ...(limits.maxLossError === undefined ? [] : [lossErrorOf(analysis, criterion, groups, limits.maxLossError)]),
  ];
  const choices = (assignment: Assignment) => choicesOf(groups, assignment);
  const layout = (assignment: Assignment) => layoutOf(choices(assignment));
  const { keep, maxDrop, reach, maxKl } = limits;
  const band = [keep, maxDrop, reach, maxKl].some((limit) => limit !== undefined);
  const measure = band ? await bandJudge(workspace, limits, signal) : undefined;
  const judged = new Map<string, Judgement>();
  const problem: SearchProblem = {
    ...predictions,
    resources,
    minimize: minimized[run.minimize],
    band: band || limits.maxLossError !== undefined,
    seed: run.seed,
    evaluate: async (assignment) => {
      if (measure === undefined) return { metric: null, divergence: predictedLoss(problem, assignment), excess: 0 };
      const key = assignment.join();
      const judgement = judged.get(key) ?? (await measure(layout(assignment)));
      judged.set(key, judgement);
      return judgement;
    },
  };
  const search = (within: SearchProblem) => searches[run.search](within, { onProgress, signal });
  const exported = keepLast((assignment: Assignment) => exportModel(model, layout(assignment)));
  const searched = await insideSize(problem, search, (assignment) => fileBytes(exported(assignment)), signal);
  const predictOf = (assignment: Assignment) => predict(problem, assignment);
  return { ...searched, groups, scores, choices, layout, exported, predict: predictOf };
}

/** Keeps the last result: what a search ends with is asked for again and again. */
function keepLast<T>(make: (assignment: Assignment) => T): (assignment: Assignment) => T {
  let last: { readonly key: string; readonly result: T } | undefined;
  return (assignment) => {
    const key = assignment.join();
    if (last?.key !== key) last = { key, result: make(assignment) };
    return last.result;
  };
}

// Files differ from what is counted by the bytes of a few names.
const mostTightenings = 3;

/**
 * Searches until the file that comes of it is inside the limit on size, to the byte: what a file has beyond what was counted is taken off the limit for the
 * next search.
 */
async function insideSize(
  problem: SearchProblem,
  search: (problem: SearchProblem) => Promise<SearchResult>,
  bytesOf: (assignment: Assignment) => number,
  signal: AbortSignal | undefined,
): Promise<Searched> {
  const { limit } = problem.resources.find(({ name }) => name === "bytes")!;
  let within = problem;
  for (let tightened = 0; ; tightened++) {
    const result = await search(within);
    if (limit === undefined || !result.verdict.feasible || signal?.aborted || tightened === mostTightenings)
      return { problem: within, result };
    const over = bytesOf(result.assignment) - limit;
    if (over <= 0) return { problem: within, result };
    within = { ...within, resources: within.resources.map((resource) => tighter(resource, over)) };
  }
}

function tighter(resource: Resource, bytes: number): Resource {
  return resource.name === "bytes" ? { ...resource, limit: resource.limit! - bytes } : resource;
}

/**
 * The mean square of the loss's error, which arXiv 2505.13060 limits to tau^2 times that of the loss: the sum of what its criterion predicts.
 * @throws BitwrightError `invalid-option` for other criteria.
 */
function lossErrorOf(
  { meanSquaredLoss }: Analysis,
  criterion: CriterionName,
  groups: readonly SearchGroup[],
  tau: number,
): Resource {
  if (!lossErrorCriteria.has(criterion) || meanSquaredLoss === undefined) {
    throw new BitwrightError("invalid-option", "this criterion does not predict the loss's error", {
      where: "max-loss-error",
      expected: "--criterion loss-mse or loss-mse-noise",
      received: criterion,
    });
  }
  return { name: "lossError", ...costsOf({ groups }), limit: tau ** 2 * meanSquaredLoss };
}

/** Judges layouts by a band, on the search split. */
async function bandJudge(
  { dataset, engine, simulator, divergence: kind, options }: Workspace,
  band: Band,
  signal: AbortSignal | undefined,
): Promise<(layout: Layout) => Promise<Judgement>> {
  const evaluator = await withinMemory(engine, options.batchSize, (batchSize) =>
    Evaluator.create(engine, simulator, dataset, "search", { batchSize, divergence: kind, signal }),
  );
  const { float } = evaluator;
  const { higherIsBetter } = dataset.metric;
  return async (layout) => {
    const after = await evaluator.evaluate(layout);
    const { metric, divergence } = after;
    // The samples may be too few to tell the band from noise: what they do not speak against is for verification to judge.
    const doubt = standardErrorOfChange(dataset.metric, float, after, dataset.sequences) * (higherIsBetter ? 1 : -1);
    const result = { float: float.metric, quantized: metric + doubt, higherIsBetter, kl: divergence };
    return { metric, divergence, excess: bandExcess(result, band) };
  };
}

function checkLatency({ latency }: Analysis, { maxLatency }: Limits, minimize: Objective): void {
  if (latency !== undefined || (maxLatency === undefined && minimize !== "latency")) return;
  throw new BitwrightError("invalid-option", "the analysis has no latencies", {
    where: maxLatency === undefined ? "minimize" : "max-latency",
    expected: "an analysis with a latency model",
    remedy: "Let analyze go on with --latency, or name a --profile.",
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

/**
 * A layer without the choices for integer kernels, if it runs faster on a float one. A product of two activations is not known to be faster on integers,
 * often it is not, and has no bytes to save. Where the time of every layer is known, the search decides instead.
 */
function onFloatKernel(layer: PlannedLayer, { floatKernels }: Analysis, { maxMacs }: Limits): PlannedLayer {
  const isUnknown = layer.weight === undefined && maxMacs === undefined;
  if (!floatKernels.includes(layer.node) && !isUnknown) return layer;
  return { ...layer, choices: layer.choices.filter(({ activation }) => activation === "float") };
}

/** By how much a band is left: the excess over each limit as a share of it, summed; 0 inside. */
function bandExcess(result: BandResult & { readonly kl: number }, band: Band): number {
  if (withinBand(result, band)) return 0;
  const { float, quantized, higherIsBetter, kl } = result;
  const { keep, maxKl } = band;
  const worst = worstFigure(result, band);
  const excesses = [
    keep === undefined ? 0 : higherIsBetter ? 1 - quantized / (keep * float) : (quantized * keep) / float - 1,
    worst === undefined ? 0 : (higherIsBetter ? worst - quantized : quantized - worst) / (Math.abs(worst) || 1),
    maxKl === undefined ? 0 : kl / maxKl - 1,
  ];
  const excess = excesses.reduce((sum, value) => sum + Math.max(0, value), 0);
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
