import type { Backend } from "../backend/backend.js";
import type { Dataset } from "../data/dataset.js";
import type { EngineModel } from "../evaluate/engine-model.js";
import type { Divergence, Evaluator } from "../evaluate/evaluator.js";
import type { LayoutParts } from "../evaluate/simulator.js";
import type { Format } from "../formats.js";
import type { Control } from "../progress.js";
import type { Quantizer, WeightQuantizer } from "../quantizer.js";
import type { TensorOf } from "../tensor.js";
import type { InteractionSource, Interactions } from "./interactions.js";

/** A tensor whose format is chosen. */
export type Site = WeightSite | ActivationSite;

interface SiteOf<Q> {
  /** See `site-ids.ts`. */
  readonly id: string;
  readonly tensor: string;
  readonly node: string;
  readonly port: number;
  readonly op: string;
  /** Of a weight; of an activation, per sample. */
  readonly elements: number;
  /** Sites of one group take their formats together. */
  readonly group: string;
  /** The quantizer of each format it may take, `float` left out. */
  readonly quantizers: ReadonlyMap<Format, Q>;
  /** The model in which this site alone has a format, and everything else is float. */
  alone(format: Format): LayoutParts;
}

/** The weight of a layer, or the table that it reads. */
export interface WeightSite extends SiteOf<WeightQuantizer> {
  readonly kind: "weight";
}

/** An activation that a layer multiplies. */
export interface ActivationSite extends SiteOf<Quantizer> {
  readonly kind: "activation";
}

/** What a criterion found out about one site. */
export interface SiteScore {
  /**
   * Predicted rise of the mean loss, by format; `float` costs nothing. Costs of a configuration's sites add up. Of `loss-mse` and `loss-mse-noise` the mean
   * square of each sample's change instead, and of `quantization-error` a ratio that only ranks.
   */
  readonly cost: Readonly<Partial<Record<Format, number>>>;
  /** Of second-order criteria: the trace of the loss's Hessian in this tensor, a mean over samples. */
  readonly trace?: number;
  /** Of the trace, or of the cost of criteria without one. */
  readonly standardError?: number;
}

export type SiteScores = Readonly<Record<string, SiteScore>>;

/** What a criterion works with. */
export interface SensitivityContext extends Control {
  readonly backend: Backend;
  readonly engine: EngineModel;
  readonly dataset: Dataset;
  /** Indices of the samples in the data set. */
  readonly samples: Uint32Array;
  readonly batchSize: number;
  /** Configurations on the same samples. */
  readonly evaluator: Pick<Evaluator, "evaluate">;
  readonly sites: readonly Site[];
  /** Values of a weight site's tensor. */
  readonly weight: (site: WeightSite) => { readonly data: Float32Array; readonly dims: readonly number[] };
  /** A float tensor that the model stores. */
  readonly constant: (initializer: string) => TensorOf<"float32">;
  /** Second-order terms between the sites' choices; computed when first asked for, once for all criteria. */
  readonly interactions: (source: InteractionSource) => Promise<Interactions>;
  /** Scores of sites that an earlier, interrupted run of this criterion has finished. */
  readonly known: SiteScores;
  /** Takes the scores of all sites finished so far, for a later run to go on from. */
  readonly onScores: (scores: SiteScores) => Promise<void>;
  /** Takes mean_n L_n^2 of the float model's losses, to which the limits of `loss-mse` are relative. */
  readonly onMeanSquaredLoss?: (value: number) => void;
  readonly loss: LossName;
  readonly divergence: Divergence;
  /** Most Hessian probes a sample; a criterion stops earlier when its estimates are good. */
  readonly probes: number;
  /** Default "network". */
  readonly probing?: Probing;
  /** Default "per-sample". */
  readonly weightProbes?: WeightProbes;
  readonly seed: number;
  /** Most bytes that the engine may hold; what the backend may by default. */
  readonly memory?: number | undefined;
}

/** Whether Hessian probes move all sites in one pass, or one site at a time: less variance for more passes. */
export type Probing = (typeof probings)[number];

export const probings = ["network", "site"] as const;

/** Whether a weight's Hessian probes are fresh for every sample, or the same for all. */
export type WeightProbes = (typeof weightProbes)[number];

export const weightProbes = ["per-sample", "shared"] as const;

/** Loss whose rise is predicted; `kl` and `mse` compare with the float model's own outputs. */
export type LossName = (typeof lossNames)[number];

export const lossNames = ["kl", "cross-entropy", "mse"] as const;

/** A measure of how much each site suffers from each format. */
export interface Criterion {
  readonly name: string;
  /** Whether what it says of weights needs no run of the model, so that a large one need not be loaded. */
  readonly readsWeightsAlone?: true;
  score(context: SensitivityContext): Promise<SiteScores>;
}
