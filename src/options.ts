import { type RangeMethodName, rangeMethods } from "./calibrate/observers.js";
import type { Band } from "./data/band.js";
import { BitwrightError } from "./errors.js";
import { type TargetName, targets } from "./export/targets/index.js";
import { type Format, formats } from "./formats.js";
import { type SearchName, searches } from "./search/index.js";
import type { LossName } from "./sensitivity/criterion.js";
import { type CriterionName, criteria } from "./sensitivity/index.js";

/** Choices of a run that its results depend on. All have defaults. */
export interface RunOptions {
  /** Engine that the file is for. Default `ort-cpu`. */
  readonly target?: TargetName;
  /** Criterion that ranks layers. Default `direct`. */
  readonly method?: CriterionName;
  /** Default `bisection`. */
  readonly search?: SearchName;
  /** Formats that layers may take besides float. Default int8 and int4. */
  readonly formats?: readonly Format[];
  /** How ranges of activations are chosen. Default `mse`. */
  readonly calibration?: RangeMethodName;
  /** Loss that sensitivities predict; by default KL to the float model, or squared error where outputs are no classes. */
  readonly loss?: LossName;
  /** Samples that sensitivities are measured on: so many of the search split, or the data set's own from `first` to before `end`. Default 64. */
  readonly samples?: number | SampleRange;
  /** Most Hessian probes a sample. Default 16. */
  readonly probes?: number;
  /** Samples that run at once. Default 8. */
  readonly batchSize?: number;
  /** Seed of everything random. Default 0. */
  readonly seed?: number;
  /** Threads of the engine; results do not depend on it. Default 2. */
  readonly threads?: number;
}

/** Samples of a data set by their indices, whatever split they are in. */
export interface SampleRange {
  readonly first: number;
  /** One behind the last. */
  readonly end: number;
}

/** What the result has to meet. */
export type Limits = Band;

export type Options = Required<Omit<RunOptions, "loss">> & Pick<RunOptions, "loss">;

/**
 * Checks options and fills in defaults.
 * @throws BitwrightError `invalid-option`.
 */
export function resolveOptions(options: RunOptions): Options {
  return Object.freeze({
    target: choice("target", options.target ?? "ort-cpu", targets),
    method: choice("method", options.method ?? "direct", criteria),
    search: choice("search", options.search ?? "bisection", searches),
    formats: (options.formats ?? (["int8", "int4"] as const)).map((format) => choice("formats", format, formats)),
    calibration: choice("calibration", options.calibration ?? "mse", rangeMethods),
    ...(options.loss !== undefined && { loss: choice("loss", options.loss, { kl: 0, "cross-entropy": 0, mse: 0 }) }),
    samples: sampleChoice(options.samples ?? 64),
    probes: whole("probes", options.probes ?? 16, 1),
    batchSize: whole("batchSize", options.batchSize ?? 8, 1),
    seed: whole("seed", options.seed ?? 0, 0),
    threads: whole("threads", options.threads ?? 2, 1),
  });
}

function choice<Name extends string>(where: string, value: Name, known: Readonly<Record<Name, unknown>>): Name {
  if (Object.hasOwn(known, value)) return value;
  throw new BitwrightError("invalid-option", "unknown choice", {
    where,
    expected: Object.keys(known).join(", "),
    received: JSON.stringify(value),
  });
}

function sampleChoice(samples: number | SampleRange): number | SampleRange {
  if (typeof samples === "number") return whole("samples", samples, 1);
  const first = whole("samples", samples.first, 0);
  return { first, end: whole("samples", samples.end, first + 1) };
}

function whole(where: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new BitwrightError("invalid-option", "not a usable number", {
    where,
    expected: `a whole number, ${least} or more`,
    received: String(value),
  });
}
