import type { BiasShifts } from "./calibrate/bias-correction.js";
import type { LatencyModel } from "./cost/latency-model.js";
import type { Divergence } from "./evaluate/evaluator.js";
import type { Range } from "./export/layout.js";
import type { LayerChoice } from "./formats.js";
import type { SavedWeights } from "./rounded-weights.js";
import type { Site, SiteScores } from "./sensitivity/criterion.js";
import type { CriterionName } from "./sensitivity/index.js";
import type { Interactions } from "./sensitivity/interactions.js";
import { activationSites, weightSite } from "./sensitivity/site-ids.js";

/** What is known about a model on a data set: enough to search without measuring again. Saved as analysis.json. */
export interface Analysis {
  readonly version: 4;
  /** What it was made of; another model, data set or option set refuses it. */
  readonly binding: Binding;
  /** Range of every activation that the target may quantize, [min, max]. */
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
  /** Weights that are not rounded to nearest. */
  readonly roundedWeights: SavedWeights;
  /** Mean shift of each output channel that rounding a weight causes, by node and format; taken off the biases. */
  readonly biasShifts: BiasShifts;
  /** Nodes of the leading layers that this machine runs faster on float kernels, as measured; they take float activations. */
  readonly floatKernels: readonly string[];
  /** Whether int8 weights of layers that may run on integer kernels have 7 bits. */
  readonly reducesRange: boolean;
  readonly sites: readonly AnalysedSite[];
  readonly criteria: Readonly<Partial<Record<CriterionName, SiteScores>>>;
  /**
   * mean_n L_n^2 of the float model's losses against the truth, in nats^2. The costs of `loss-mse` are relative to it: arXiv 2505.13060 limits their sum
   * to tau^2 times this. Known when that criterion, or `loss-mse-noise`, is.
   */
  readonly meanSquaredLoss?: number;
  /** Second-order terms between the sites' choices. */
  readonly interactions: Interactions;
  /** How long any configuration takes on this machine, measured when a limit or the objective asks for it; or as a hardware profile has it. */
  readonly latency?: LatencyModel;
  /** Time that each criterion took, with the interactions that it is made of, and each source of interactions. */
  readonly seconds: Readonly<Record<string, number>>;
  /** What interrupted work has found so far. */
  readonly unfinished?: Unfinished;
}

export interface Unfinished {
  /** Scores of the sites that a criterion has finished. */
  readonly criteria?: Readonly<Partial<Record<CriterionName, SiteScores>>>;
  /** The first rows of `measured` interactions, each up to its diagonal. */
  readonly measured?: readonly (readonly number[])[];
}

export interface Binding {
  /** Hash of the model with its external data, in hexadecimal. */
  readonly model: string;
  /** Hash of the data set. */
  readonly data: string;
  /** What losses are put on: all that the numbers take from the metric, whose own figures are measured anew by every search. */
  readonly judged: Judged;
  /** The options that the numbers depend on. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Judged {
  /** The output, by its name. */
  readonly output: string;
  readonly divergence: Divergence;
}

export type AnalysedSite = Pick<Site, "id" | "kind" | "tensor" | "node" | "op" | "elements" | "group">;

export function rangesOf({ ranges }: Analysis): Map<string, Range> {
  return new Map(Object.entries(ranges).map(([name, [min, max]]) => [name, { min, max }]));
}

/** The analysis without times that a hardware profile gave it; measured ones stay. */
export function withoutProfile(analysis: Analysis): Analysis {
  const { latency, ...others } = analysis;
  return latency?.profile === undefined ? analysis : others;
}

/** Predicted rise of the loss when a layer takes a choice: the sum over its sites, 0 for float. */
export function predictedCost(scores: SiteScores, node: string, choice: LayerChoice): number {
  const weight = scores[weightSite(node)]?.cost[choice.weight] ?? 0;
  return activationSites(node).reduce((sum, site) => sum + (scores[site]?.cost[choice.activation] ?? 0), weight);
}
