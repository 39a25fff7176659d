import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import type { Quantizer } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import { type ArrayView, arrayView } from "./array-view.js";
import type { QuantizerSpec, RangeMethod } from "./quantizer-spec.js";

/** Refuses an array that is not a tensor of this shape, or weights that are not one for each element (none are allowed). */
export function checkArray(x: Float32Array, dims: readonly number[], weights?: Float32Array): void {
  demand("floats", x, "x");
  demand("list", dims, "dims");
  const count = elementCount(dims);
  if (x.length !== count) throw misfit("x", dims, count, x.length);
  if (weights !== undefined) demand("floats", weights, "weights");
  if (weights?.length && weights.length !== count) throw misfit("weights", dims, count, weights.length);
}

/** Refuses values that no range covers. */
export function checkFinite(x: Float32Array): void {
  const index = x.findIndex((value) => !Number.isFinite(value));
  if (index === -1) return;
  throw new BitwrightError("invalid-data", "A range cannot be chosen for a value that is not finite", {
    where: `x[${index}]`,
    received: `${x[index]}`,
  });
}

function misfit(where: string, dims: readonly number[], count: number, length: number): BitwrightError {
  return new BitwrightError("invalid-data", "The array does not fit the shape", {
    where,
    expected: `${count} elements for [${dims.join(", ")}]`,
    received: `${length}`,
  });
}

/** Refuses a quantizer that does not fit the tensor or has unusable scales; returns the tensor as the quantizer sees it. */
export function checkQuantizer(dims: readonly number[], quantizer: Quantizer): ArrayView {
  demand("options", quantizer, "quantizer");
  checkRange(quantizer);
  const view = arrayView(dims, quantizer.granularity);
  const { scales, zeroPoints, qmin, qmax } = quantizer;
  demand("floats", scales, "scales");
  demand("integers", zeroPoints, "zeroPoints");
  if (scales.length !== view.groups || zeroPoints.length !== view.groups) {
    throw unusable("scales", `${view.groups} scales and zero points`, `${scales.length} and ${zeroPoints.length}`);
  }
  const scale = scales.find((value) => !(value > 0 && value < Number.POSITIVE_INFINITY));
  if (scale !== undefined) throw unusable("scales", "positive numbers", `${scale}`);
  const zeroPoint = zeroPoints.find((value) => value < qmin || value > qmax);
  if (zeroPoint !== undefined) throw unusable("zeroPoints", `codes between ${qmin} and ${qmax}`, `${zeroPoint}`);
  return view;
}

/** Refuses a specification that no quantizer meets; returns its smallest and largest code. */
export function checkSpec(spec: QuantizerSpec): { qmin: number; qmax: number } {
  const { bits, signed, symmetric } = spec;
  if (symmetric && !signed) throw unusable("signed", "signed codes for a symmetric quantizer", "unsigned codes");
  const least = signed ? -(2 ** (bits - 1)) : 0;
  const { qmin = least, qmax = least + 2 ** bits - 1 } = spec;
  checkRange({ bits, signed, qmin, qmax });
  return { qmin, qmax };
}

/** The engine's codes of the ways to choose a range. */
export const rangeMethodCodes: Readonly<Record<RangeMethod["kind"], number>> = { minmax: 0, percentile: 1, mse: 2 };

/** Refuses what is no way to choose a range. */
export function checkMethod(method: RangeMethod): void {
  demand("options", method, "method");
  if (Object.hasOwn(rangeMethodCodes, method.kind)) return;
  throw unusable("method.kind", Object.keys(rangeMethodCodes).join(", "), String(method.kind));
}

/** The share of values that a percentile keeps. */
export function checkShare(share: number): number {
  if (share > 0 && share <= 1) return share;
  throw unusable("method.share", "a number above 0 and up to 1", `${share}`);
}

function checkRange({ bits, signed, qmin, qmax }: Pick<Quantizer, "bits" | "signed" | "qmin" | "qmax">): void {
  if (!Number.isInteger(bits) || bits < 2 || bits > 16) throw unusable("bits", "an integer from 2 to 16", `${bits}`);
  const least = signed ? -(2 ** (bits - 1)) : 0;
  const most = least + 2 ** bits - 1;
  const usable = Number.isInteger(qmin) && Number.isInteger(qmax) && qmin >= least && qmax <= most && qmin < qmax;
  if (!usable) throw unusable("qmin, qmax", `integers in order between ${least} and ${most}`, `${qmin} and ${qmax}`);
}

function unusable(where: string, expected: string, received: string): BitwrightError {
  return new BitwrightError("invalid-option", "The quantizer is not usable", { where, expected, received });
}
