import type { OpPorts } from "./info.js";

/** How a graph computes. */
export interface GraphOptions {
  /** float64 is the reference arithmetic: slow, for tests and comparisons. Default float32. */
  readonly precision?: "float32" | "float64";
  /** Threads that share a run, the calling one included; results do not depend on it. Default 1. */
  readonly threads?: number;
  /** Most bytes that its tensors may hold; what needs more fails with `out-of-memory`. Default, and at most, the backend's `memory`. */
  readonly memory?: number;
  /** One of `targets()`; a flavour alone, as "/strict", takes it on the best target. Default: the best target, fast. */
  readonly target?: string;
}

/** Work that an AbortSignal stops: soon on the native backend, before its next call on WebAssembly. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

export interface RunOptions extends Abortable {
  /** Values to read afterwards, besides the graph's outputs. */
  readonly values?: readonly number[];
  /**
   * Keeps every value, as losses and derivatives need; `segments` computes most of them again where they are needed, in less memory and with the same
   * results. Default false.
   */
  readonly keep?: boolean | "segments";
}

/** Bytes of a graph's tensors. */
export interface MemoryUse {
  readonly live: number;
  /** The most since this was last asked. */
  readonly peak: number;
}

export interface GradientOptions extends Abortable {
  /** false adds to the initializers' gradients so far. Default true. */
  readonly reset?: boolean;
}

export interface HessianOptions extends Abortable {
  /** Also accumulates H v of every initializer site, until the sites are declared anew. Default false. */
  readonly products?: boolean;
}

/** What the engine can do with a node, and how quantization has to see it. */
export interface NodeInfo extends OpPorts {
  readonly supported: boolean;
  readonly differentiable: boolean;
}

/** A per-tensor quantizer through which one node input reads its tensor. */
export interface EdgeQuantizer extends TensorGrid {
  readonly node: number;
  readonly port: number;
}

/** A loss on a value of the last run; rows (all axes but the last) of one sample are averaged. */
export type Loss =
  /** `target`: the class of every row; -1 leaves a row out. */
  | { readonly kind: "cross-entropy"; readonly value: number; readonly target: Int32Array }
  /** KL(softmax(target) || softmax(value)); `target`: reference logits. */
  | { readonly kind: "kl"; readonly value: number; readonly target: Float32Array | Float64Array }
  /** Half the sum of squared differences to `target`. */
  | { readonly kind: "squared-error"; readonly value: number; readonly target: Float32Array | Float64Array }
  /** The sum of products with `target`. */
  | { readonly kind: "linear"; readonly value: number; readonly target: Float32Array | Float64Array }
  /** The sum of the elements. */
  | { readonly kind: "sum"; readonly value: number };

/** Where directions are taken: initializers first, then node inputs. */
export interface Sites {
  /** Value ids of initializers. */
  readonly weights: readonly number[];
  readonly edges?: readonly { readonly node: number; readonly port: number }[];
  /** Directions for every site at once. */
  readonly probes: number;
  /** A fresh direction for every sample instead of one for all. */
  readonly perSample?: boolean;
  /** Seed of the Rademacher signs, which depend on (seed, site, sample, probe) alone. */
  readonly seed?: number;
  /** Index of the batch's first sample in the data set. */
  readonly firstSample?: number;
}

/** Quadratic forms v^T H v: `forms[(probe * samples + sample) * sites + site]`. */
export interface HessianForms {
  readonly forms: Float64Array;
  readonly probes: number;
  readonly samples: number;
  readonly sites: number;
}

/** What a format does to one tensor. */
export type TensorError =
  /** Added to an initializer, as Q(W) - W; for squares a variance of every element. Shaped like it; a function makes it when it is its turn. */
  | { readonly value: number; readonly data: Float32Array | (() => Promise<Float32Array>) }
  /** Added to what one node input reads: grid(a) - a, made from the last run. */
  | { readonly node: number; readonly port: number; readonly grid: TensorGrid }
  /** For squares: every element a of what one node input reads has the variance constant + relative a^2. */
  | { readonly node: number; readonly port: number; readonly variance: Variance };

export interface Variance {
  readonly constant: number;
  readonly relative: number;
}

/** The cotangents that errors are projected on. */
export type ProjectionSource =
  /** The gradient of the loss: one probe. */
  | { readonly source: "loss" }
  /**
   * Random cotangents at the loss's value, with covariance equal to the loss's Hessian there: the mean of products of projections is the Gauss-Newton
   * matrix. At most 64 probes; signs depend on (seed, sample in the data set, probes, probe) alone.
   */
  | { readonly source: "fisher"; readonly probes: number; readonly seed: number; readonly firstSample: number };

/** A number for every probe, sample and error: `values[(probe * samples + sample) * errors + error]`. */
export interface Projections {
  readonly values: Float64Array;
  readonly probes: number;
  readonly samples: number;
  readonly errors: number;
}

/** The extremes of a value over the last run, NaN left out. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
  /** Elements that are NaN or infinite. */
  readonly nonFinite: number;
}

/** A per-tensor quantizer. */
export interface TensorGrid {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly qmin: number;
  readonly qmax: number;
}
