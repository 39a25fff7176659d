import type { Granularity } from "../quantizer.js";

/** What a quantizer shall be like, before its scales are known. */
export interface QuantizerSpec {
  /** 2 to 16. */
  readonly bits: number;
  readonly signed: boolean;
  /** Zero points are 0; the codes must be signed. */
  readonly symmetric: boolean;
  readonly granularity: Granularity;
  /** Smallest and largest code; default all that the bits can hold. */
  readonly qmin?: number;
  readonly qmax?: number;
}

/** How a range is chosen from the values it has to cover. */
export type RangeMethod =
  /** All values. */
  | { readonly kind: "minmax" }
  /** The range that keeps this share of the values, as 0.999. */
  | { readonly kind: "percentile"; readonly share: number }
  /** The range with the least sum of squared errors; each may be weighted, as by a second derivative of the loss. */
  | { readonly kind: "mse"; readonly weights?: Float32Array };
