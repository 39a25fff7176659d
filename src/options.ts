import type { Amount } from "./amount.js";
import { type RangeMethodName, rangeMethods } from "./calibrate/observers.js";
import { type RoundingName, roundings } from "./calibrate/round-weights.js";
import type { Band } from "./data/band.js";
import { BitwrightError } from "./errors.js";
import { type TargetName, targets } from "./export/targets/index.js";
import { type Format, formats } from "./formats.js";
import { demand } from "./given.js";
import { type Method, type MethodName, methods } from "./methods.js";
import { type SearchName, searches } from "./search/index.js";
import {
  type LossName,
  lossNames,
  type Probing,
  probings,
  type WeightProbes,
  weightProbes,
} from "./sensitivity/criterion.js";
import { type CriterionName, criteria } from "./sensitivity/index.js";
import { type InteractionSource, interactionSources } from "./sensitivity/interactions.js";

/** Choices of a run that its results depend on; {@link defaults} stand for what is not given. */
export interface RunOptions {
  /** Engine that the file is for. */
  readonly target?: TargetName;
  /** Which criterion and search belong together; either can be replaced by naming another. */
  readonly method?: MethodName;
  /** Predicts the harm of each site and format; the method's own by default. */
  readonly criterion?: CriterionName;
  /** Where second-order terms between sites come from; the method's own by default. */
  readonly interactions?: InteractionSource;
  /** Finds a configuration; the method's own by default. */
  readonly search?: SearchName;
  /** What is made as small as the limits allow. */
  readonly minimize?: Objective;
  /** Formats that layers may take besides float. */
  readonly formats?: readonly Format[];
  /** How ranges of activations are chosen. */
  readonly calibration?: RangeMethodName;
  /** How weights are rounded to integers. */
  readonly rounding?: RoundingName;
  /**
   * Whether int8 weights of layers that may run on integer kernels keep to 7 bits: always, for files that run on any machine; or automatically, if this machine's
   * kernels saturate with more.
   */
  readonly reduceRange?: ReduceRange;
  /** Loss that sensitivities predict; by default KL to the float model, or squared error where outputs are no classes. */
  readonly loss?: LossName;
  /** Samples that sensitivities are measured on: so many of the search split, or any of the data set. */
  readonly samples?: number | SampleRange;
  /** Most Hessian probes a sample. */
  readonly probes?: number;
  /** Whether Hessian probes move all sites in one pass, or one site at a time: less variance for more passes. */
  readonly probing?: Probing;
  /** Whether Hessian probes of a weight are fresh for every sample, or the same for all. */
  readonly weightProbes?: WeightProbes;
  /** Samples that run at once. */
  readonly batchSize?: number;
  /** Seed of everything random. */
  readonly seed?: number;
  /** Whether products may be fused with sums where the processor can, or keep the same bits on every machine and backend. */
  readonly arithmetic?: Arithmetic;
  /** Threads of the engine; results do not depend on it. */
  readonly threads?: number;
  /**
   * Most bytes that the engine may hold: weights, activations and derivatives. Work that needs more is done in smaller parts; results do not depend on it. By default
   * three quarters of the machine's memory.
   */
  readonly memory?: number;
}

export const reduceRanges = ["auto", "always", "never"] as const;
export type ReduceRange = (typeof reduceRanges)[number];

export const arithmetics = ["fast", "strict"] as const;
export type Arithmetic = (typeof arithmetics)[number];

/** Samples of a data set by their indices, whatever split they are in. */
export interface SampleRange {
  readonly first: number;
  /** One behind the last. */
  readonly end: number;
}

/** What the result has to meet. Every limit that is given holds. */
export interface Limits extends Band {
  /** Most bytes of the written file, external data included; a share is of the float model's file. */
  readonly maxSize?: Amount;
  /** Longest median time for one sample on this machine, in milliseconds. */
  readonly maxLatency?: Amount;
  /** Most multiply-accumulates of one sample, those of narrow formats counted by their width. */
  readonly maxMacs?: Amount;
  /**
   * Largest root mean square of the error of the loss, as a share of that of the loss itself: tau of arXiv 2505.13060. As predicted by `loss-mse` or
   * `loss-mse-noise`.
   */
  readonly maxLossError?: number;
}

export const objectives = ["both", "size", "latency"] as const;
/**
 * What is made as small as the limits allow: the file, the time, or the sum of both as shares of the float model's. Where time has not been measured,
 * `both` takes multiply-accumulates for it.
 */
export type Objective = (typeof objectives)[number];

export type Options = Required<Omit<RunOptions, "loss" | "memory">> & Pick<RunOptions, "loss" | "memory">;

/** What is taken for options that are not given. */
export const defaults = {
  target: "ort-cpu",
  method: "curvature",
  minimize: "both",
  formats: ["fp16", "int8", "int4"],
  calibration: "mse",
  rounding: "error-feedback",
  reduceRange: "auto",
  samples: 64,
  probes: 16,
  probing: "network",
  weightProbes: "per-sample",
  batchSize: 8,
  seed: 0,
  arithmetic: "fast",
  threads: 2,
} as const satisfies RunOptions;

/**
 * Checks options and fills in defaults.
 * @throws BitwrightError `invalid-option`.
 */
export function resolveOptions(options: RunOptions): Options {
  demand("options", options);
  const method = choice("method", options.method ?? defaults.method, keys(methods));
  const parts: Method = methods[method];
  return Object.freeze({
    method,
    criterion: choice("criterion", options.criterion ?? parts.criterion, keys(criteria)),
    interactions: choice("interactions", options.interactions ?? parts.interactions, interactionSources),
    search: choice("search", options.search ?? parts.search, keys(searches)),
    minimize: choice("minimize", options.minimize ?? defaults.minimize, objectives),
    target: choice("target", options.target ?? defaults.target, keys(targets)),
    formats: (options.formats ?? defaults.formats).map((format) => choice("formats", format, keys(formats))),
    calibration: choice("calibration", options.calibration ?? defaults.calibration, keys(rangeMethods)),
    rounding: choice("rounding", options.rounding ?? defaults.rounding, roundings),
    reduceRange: choice("reduceRange", options.reduceRange ?? defaults.reduceRange, reduceRanges),
    ...(options.loss !== undefined && { loss: choice("loss", options.loss, lossNames) }),
    samples: sampleChoice(options.samples ?? defaults.samples),
    probes: whole("probes", options.probes ?? defaults.probes, 1),
    probing: choice("probing", options.probing ?? defaults.probing, probings),
    weightProbes: choice("weightProbes", options.weightProbes ?? defaults.weightProbes, weightProbes),
    batchSize: whole("batchSize", options.batchSize ?? defaults.batchSize, 1),
    arithmetic: choice("arithmetic", options.arithmetic ?? defaults.arithmetic, arithmetics),
    seed: whole("seed", options.seed ?? defaults.seed, 0),
    threads: whole("threads", options.threads ?? defaults.threads, 1, 256),
    ...(options.memory !== undefined && { memory: whole("memory", options.memory, 1) }),
  });
}

function keys<Name extends string>(registry: Readonly<Record<Name, unknown>>): readonly Name[] {
  return Object.keys(registry) as Name[];
}

function choice<Name extends string>(where: string, value: Name, known: readonly Name[]): Name {
  if (known.includes(value)) return value;
  throw new BitwrightError("invalid-option", "unknown choice", {
    where,
    expected: known.join(", "),
    received: JSON.stringify(value),
  });
}

function sampleChoice(samples: number | SampleRange): number | SampleRange {
  if (typeof samples === "number") return whole("samples", samples, 1);
  const first = whole("samples", samples.first, 0);
  return { first, end: whole("samples", samples.end, first + 1) };
}

function whole(where: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new BitwrightError("invalid-option", "not a usable number", {
    where,
    expected:
      most < Number.MAX_SAFE_INTEGER ? `a whole number from ${least} to ${most}` : `a whole number, ${least} or more`,
    received: String(value),
  });
}
