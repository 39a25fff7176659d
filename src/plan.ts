import type { FigureChange } from "./data/figure-change.js";
import type { PairedComparison } from "./data/statistics.js";
import type { Format } from "./formats.js";
import type { KeptFloat } from "./kept-float.js";
import type { Change } from "./onnx/clean/index.js";
import type { Limits } from "./options.js";
import type { Proof, SearchStep } from "./search/problem.js";
import type { Trust } from "./sensitivity/trust.js";

/** What was decided and what it brought; saved as plan.json. */
export interface Plan {
  readonly version: 1;
  readonly target: string;
  readonly method: string;
  /** What the predictions below come from. */
  readonly criterion: string;
  readonly limits: Limits;
  readonly layers: readonly PlanLayer[];
  /** Floats that the file holds as the float model does, by the reason, the most bytes first. */
  readonly keptFloat: readonly KeptFloat[];
  readonly before: Figures;
  readonly after: Figures;
  readonly predicted: {
    /** Rise of the mean loss that the criterion predicts for the whole plan. */
    readonly loss: number;
    /** Time of a run of one sample, in milliseconds; null where there is no latency model. */
    readonly latencyMs: number | null;
    /** The same of the float model. */
    readonly floatLatencyMs: number | null;
    /** The hardware profile that these times come from; null where they come from measurements on this machine, or there are none. */
    readonly latencyProfile: string | null;
    /** Typical error of such times of whole configurations, as a share, from the latency model's own checks; null where there are none. */
    readonly latencyError: number | null;
    /** Root mean square of the loss's error, as a share of that of the loss; null from criteria that do not predict it. */
    readonly lossError: number | null;
  };
  /** What the exported file did in onnxruntime on the verify split; null when that was not run. */
  readonly verified: Verified | null;
  /** Limits that the file does not meet, as verified and measured, or as predicted where it was not run. */
  readonly unmet: readonly (keyof Limits | "band")[];
  /** Why it was not run; null when it was. */
  readonly unverified: string | null;
  readonly search: {
    readonly evaluations: number;
    readonly stopped: string;
    readonly steps: readonly SearchStep[];
    /** Samples of the search split, and what the engine's simulation of the plan gave on them: null without a band, when nothing was run. */
    readonly samples: number;
    readonly floatMetric: number | null;
    readonly metric: number | null;
    /** As predicted where nothing was run. */
    readonly divergence: number;
    /** What no configuration inside the limits falls below, as predicted; null from searches that prove nothing. */
    readonly proof: Proof | null;
    /** What was predicted of the searched configuration, against what it did; null where that was not run, or predicted in other units. */
    readonly trust: Trust | null;
    /** Whether a higher metric is better. */
    readonly higherIsBetter: boolean;
  };
  /** What the clean-up changed before anything was quantized. */
  readonly changes: readonly Change[];
}

export interface PlanLayer {
  readonly node: string;
  readonly op: string;
  /** Name of the weight's initializer; null where two activations are multiplied. */
  readonly weight: string | null;
  readonly weightFormat: Format;
  readonly activationFormat: Format;
  /** Why it has these formats. */
  readonly why: string;
}

export interface Figures {
  /** Name of the metric. */
  readonly metric: string;
  /** Its value on the verify split in onnxruntime; null when it was not run. */
  readonly value: number | null;
  /** Size of the file, external data included. */
  readonly bytes: number;
  /** Median time of a run of one sample on this machine, in milliseconds; null when it was not measured. */
  readonly latencyMs: number | null;
}

export interface Verified {
  readonly samples: number;
  /** Whether the file is inside the band on these samples. */
  readonly withinBand: boolean;
  /** Samples on which the two models' correctness differs; absent for metrics that do not judge single samples. */
  readonly flips: { readonly lost: number; readonly gained: number } | null;
  /** Statistics of the pairs of answers; null like flips, and where samples are steps of sequences, which depend on each other. */
  readonly paired: PairedComparison | null;
  /** What the figures show, for any metric. */
  readonly change: FigureChange;
  /** Mean divergence of the quantized outputs from the float ones. */
  readonly kl: number;
  /** Whether the engine runs integer kernels exactly where the plan has them. */
  readonly fusedAsPlanned: boolean;
  /** Layers that the engine runs otherwise than planned, in words. */
  readonly fusionProblems: readonly string[];
  /** Whether this machine's integer kernels saturate, and the file has int8 weights for them that take more than 7 bits. */
  readonly saturates: boolean;
  /** Quantized time over float time, median of interleaved runs. */
  readonly latencyRatio: number;
  /** Groups that were taken back because an earlier file failed verification. */
  readonly undone: number;
}
