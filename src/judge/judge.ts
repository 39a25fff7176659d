import { type Analysis, predictedCost, rangesOf } from "../analysis.js";
import { sensitivitySamples } from "../analyze.js";
import { BitwrightError } from "../errors.js";
import { Evaluator } from "../evaluate/evaluator.js";
import { withFloatStates } from "../evaluate/float-states.js";
import { choiceKey, type Format, formats, type LayerChoice } from "../formats.js";
import { groupLayers } from "../groups.js";
import { type Control, Stage } from "../progress.js";
import type { Site, SiteScores } from "../sensitivity/criterion.js";
import { chosenIndices, predictLoss } from "../sensitivity/interactions.js";
import { layoutOptions, type Workspace } from "../workspace.js";
import { type Calibration, calibrate } from "./calibration.js";
import { randomConfigurations } from "./configurations.js";
import { type RankAgreement, rankAgreement } from "./rank.js";

/** How far each criterion of an analysis can be trusted on this model, by measurement. Saved as judgement.json. */
export interface Judgement {
  readonly version: 1;
  /** Samples that everything was measured on. */
  readonly samples: number;
  readonly configurations: readonly JudgedConfiguration[];
  /** Divergence below which configurations count as mild. */
  readonly mild: number;
  readonly predictors: readonly JudgedPredictor[];
}

/** A random configuration, with what it does to the outputs. */
export interface JudgedConfiguration {
  /** Layers with each choice, as `int4/int8`: weight, activation. */
  readonly layers: Readonly<Record<string, number>>;
  /** Mean divergence from the float model's outputs. */
  readonly measured: number;
}

/** One way to predict, held against what was measured. */
export interface JudgedPredictor {
  /** The criterion, or the source of interactions where second-order terms between sites are added. */
  readonly name: string;
  /** Time that it took; null when the analysis does not tell. */
  readonly seconds: number | null;
  /** Single sites: the predicted cost against the divergence measured with that site alone quantized. Absent for what only predicts wholes. */
  readonly sites: readonly JudgedSites[];
  /** Over the sites of both kinds in all formats together. */
  readonly all: RankAgreement | null;
  /** Over the sites of both kinds, each in its narrowest format: weights in int4 and activations in int8, say. */
  readonly narrowest: RankAgreement | null;
  /** Whole configurations, all of them. */
  readonly whole: RankAgreement & { readonly predicted: readonly number[] };
  /** Of the mild configurations; null when fewer than two are. */
  readonly mild: Calibration | null;
}

export interface JudgedSites extends RankAgreement {
  readonly kind: "weight" | "activation";
  readonly format: Format;
  /** The sites that the figures below are of. */
  readonly ids: readonly string[];
  readonly predicted: readonly number[];
  readonly measured: readonly number[];
  readonly calibration: Calibration | null;
}

export interface JudgeOptions extends Control {
  /** Random configurations to measure. Default 50. */
  readonly configurations?: number;
  /** Divergence below which whole configurations are worth predicting well, in nats. Default 0.1. */
  readonly mild?: number;
}

/**
 * Measures random whole configurations and holds every criterion of an analysis against them, and against `direct` site by site.
 * @param analysis - Must hold the criterion `direct`, made on the same samples.
 * @throws BitwrightError `invalid-option` when it does not.
 */
export async function judge(workspace: Workspace, analysis: Analysis, options: JudgeOptions = {}): Promise<Judgement> {
  const { configurations: count = 50, mild = 0.1, onProgress, signal } = options;
  const { direct } = analysis.criteria;
  if (direct === undefined) {
    throw new BitwrightError("invalid-option", "criteria are judged against direct, which the analysis does not hold", {
      where: "criteria",
      remedy: "Analyze with --criteria direct and the criteria to judge.",
    });
  }
  const samples = sensitivitySamples(workspace.dataset, workspace.options);
  const configurations = randomConfigurations(groupLayers(workspace.layers), count, workspace.options.seed);
  const measured = await measure(workspace, analysis, samples, configurations, { onProgress, signal });
  const wholes = (predicted: readonly number[]) => ({
    whole: { predicted, ...rankAgreement(predicted, measured) },
    mild: calibrateBelow(mild, predicted, measured),
  });
  const predictors = Object.entries(analysis.criteria).map(([name, scores]) => {
    const sites = judgedSites(analysis, scores, direct);
    return {
      name,
      seconds: analysis.seconds[name] ?? null,
      sites,
      all: overall(sites),
      narrowest: overall(inNarrowestFormat(sites)),
      ...wholes(configurations.map((choices) => sumOfCosts(scores, choices))),
    };
  });
  return {
    version: 1,
    samples: samples.length,
    configurations: configurations.map((choices, i) => ({ layers: countChoices(choices), measured: measured[i]! })),
    mild,
    predictors: [
      ...predictors,
      ...withInteractions(analysis, configurations).map(({ name, predicted }) => ({
        name,
        seconds: analysis.seconds[analysis.interactions.source] ?? null,
        sites: [],
        all: null,
        narrowest: null,
        ...wholes(predicted),
      })),
    ],
  };
}

/** What the quadratic model predicts of whole configurations, if the analysis has one. */
function withInteractions({ interactions }: Analysis, configurations: readonly ReadonlyMap<string, LayerChoice>[]) {
  if (interactions.source === "none") return [];
  const name = `${interactions.source} with interactions`;
  return [
    {
      name,
      predicted: configurations.map((choices) => predictLoss(interactions, chosenIndices(interactions, choices)).loss),
    },
  ];
}

/** What each configuration does to the outputs, in the engine's simulation of the exported file. */
async function measure(
  workspace: Workspace,
  analysis: Analysis,
  samples: Uint32Array,
  configurations: readonly ReadonlyMap<string, LayerChoice>[],
  control: Control,
): Promise<number[]> {
  const { engine, simulator, target, model, divergence, options } = workspace;
  const { signal } = control;
  await simulator.apply({ weights: [], biases: [], edges: [] });
  const { batchSize } = options;
  const dataset = await withFloatStates({ ...workspace, samples, batchSize, ...control });
  const evaluator = await Evaluator.create(engine, simulator, dataset, samples, {
    batchSize: options.batchSize,
    divergence,
    signal,
  });
  const ranges = rangesOf(analysis);
  const rounding = layoutOptions(workspace, analysis);
  const stage = new Stage(control, "judge", configurations.length);
  const measured: number[] = [];
  for (const choices of configurations) {
    const evaluation = await evaluator.evaluate(target.layout(model, choices, ranges, rounding));
    measured.push(evaluation.divergence);
    stage.step();
  }
  return measured;
}

function sumOfCosts(scores: SiteScores, choices: ReadonlyMap<string, LayerChoice>): number {
  return [...choices].reduce((sum, [node, choice]) => sum + predictedCost(scores, node, choice), 0);
}

function judgedSites({ sites }: Analysis, scores: SiteScores, direct: SiteScores): JudgedSites[] {
  const kinds = [...new Set(sites.map(({ kind }) => kind))];
  return kinds.flatMap((kind) => {
    const ids = sites.filter((site) => site.kind === kind).map(({ id }) => id);
    const formats = new Set(ids.flatMap((id) => Object.keys(direct[id]?.cost ?? {}) as Format[]));
    return [...formats].flatMap((format) => {
      const both = ids.flatMap((id) => {
        const [predicted, measured] = [scores[id]?.cost[format], direct[id]?.cost[format]];
        return predicted === undefined || measured === undefined ? [] : [{ id, predicted, measured }];
      });
      if (both.length < 2) return [];
      const predicted = both.map((site) => site.predicted);
      const measured = both.map((site) => site.measured);
      const calibration = calibrate(predicted, measured);
      return [
        {
          kind,
          format,
          ids: both.map(({ id }) => id),
          predicted,
          measured,
          calibration,
          ...rankAgreement(predicted, measured),
        },
      ];
    });
  });
}

/** Of the sites of each kind those figures that are of the fewest bits. */
function inNarrowestFormat(sites: readonly JudgedSites[]): JudgedSites[] {
  const fewest = (kind: Site["kind"]) =>
    Math.min(...sites.filter((site) => site.kind === kind).map(({ format }) => formats[format].bits));
  return sites.filter(({ kind, format }) => formats[format].bits === fewest(kind));
}

function overall(sites: readonly JudgedSites[]): RankAgreement | null {
  if (sites.length === 0) return null;
  return rankAgreement(
    sites.flatMap(({ predicted }) => predicted),
    sites.flatMap(({ measured }) => measured),
  );
}

function calibrateBelow(limit: number, predicted: readonly number[], measured: readonly number[]): Calibration | null {
  const kept = measured.flatMap((value, i) => (value < limit ? [i] : []));
  return calibrate(
    kept.map((i) => predicted[i]!),
    kept.map((i) => measured[i]!),
  );
}

function countChoices(choices: ReadonlyMap<string, LayerChoice>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const choice of choices.values()) counts[choiceKey(choice)] = (counts[choiceKey(choice)] ?? 0) + 1;
  return counts;
}
