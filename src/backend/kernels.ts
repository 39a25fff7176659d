/**
 * The engine's quantization kernels as functions on typed arrays. Bit-equal on every backend and SIMD target, and with ONNX QuantizeLinear and
 * DequantizeLinear: divide by the scale, round half to even, add the zero point, saturate.
 *
 * `x` holds a tensor of shape `dims` in C order. All functions run off the JavaScript thread where the backend can, so independent calls run in
 * parallel; arrays must be left alone until the promise settles.
 *
 * @throws BitwrightError `invalid-data` when an array does not fit its shape, `invalid-option` when a quantizer or a method is not usable.
 */
import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import type { Quantizer } from "../quantizer.js";
import { arrayView } from "./array-view.js";
import type { Backend } from "./backend.js";
import {
  checkArray,
  checkFinite,
  checkMethod,
  checkQuantizer,
  checkShare,
  checkSpec,
  rangeMethodCodes,
} from "./check-kernels.js";
import type { QuantizerSpec, RangeMethod } from "./quantizer-spec.js";

/** Quantizes and dequantizes: the values that an engine with these codes computes with. */
export async function fakeQuantize(
  backend: Backend,
  x: Float32Array,
  dims: readonly number[],
  quantizer: Quantizer,
): Promise<Float32Array> {
  demand("backend", backend);
  checkArray(x, dims);
  const { extents, groups } = checkQuantizer(dims, quantizer);
  const { scales, zeroPoints, qmin, qmax } = quantizer;
  const y = new Float32Array(x.length);
  await backend.callAsync("bw_fake_quantize", x, ...extents, scales, zeroPoints, groups, qmin, qmax, y);
  return y;
}

/** Quantizes: the codes, as ONNX QuantizeLinear gives them. */
export async function quantizeLinear(
  backend: Backend,
  x: Float32Array,
  dims: readonly number[],
  quantizer: Quantizer,
): Promise<Int32Array> {
  demand("backend", backend);
  checkArray(x, dims);
  const { extents, groups } = checkQuantizer(dims, quantizer);
  const { scales, zeroPoints, qmin, qmax } = quantizer;
  const codes = new Int32Array(x.length);
  await backend.callAsync("bw_quantize", x, ...extents, scales, zeroPoints, groups, qmin, qmax, codes);
  return codes;
}

/**
 * Squared errors of candidate quantizers in one pass over `x`: for each candidate the sums of (fakeQuantize(x) - x)^2, one for each of its scales.
 * Differences are rounded to float32; squares and sums are in double. The candidates differ in scales and zero points alone.
 *
 * @param weights - A factor for each element's squared error.
 */
export async function quantizationError(
  backend: Backend,
  x: Float32Array,
  dims: readonly number[],
  candidates: readonly Quantizer[],
  weights: Float32Array = new Float32Array(0),
): Promise<Float64Array[]> {
  demand("backend", backend);
  demand("list", candidates, "candidates");
  const [first] = candidates;
  if (first === undefined) return [];
  checkArray(x, dims, weights);
  const { extents, groups } = checkQuantizer(dims, first);
  const scales = new Float32Array(candidates.length * groups);
  const zeroPoints = new Int32Array(candidates.length * groups);
  for (const [i, candidate] of candidates.entries()) {
    checkQuantizer(dims, candidate);
    if (grid(candidate) !== grid(first)) {
      throw new BitwrightError("invalid-option", "The candidates differ in more than scales and zero points", {
        where: `candidates[${i}]`,
        expected: grid(first),
        received: grid(candidate),
      });
    }
    scales.set(candidate.scales, i * groups);
    zeroPoints.set(candidate.zeroPoints, i * groups);
  }
  const sums = new Float64Array(candidates.length * groups);
  await backend.callAsync(
    "bw_quantization_error",
    x,
    weights,
    weights.length,
    ...extents,
    scales,
    zeroPoints,
    groups,
    candidates.length,
    first.qmin,
    first.qmax,
    sums,
  );
  return candidates.map((_, i) => sums.slice(i * groups, (i + 1) * groups));
}

/** Chooses scales and zero points for `x`; zero is always exactly representable. */
export async function searchScale(
  backend: Backend,
  x: Float32Array,
  dims: readonly number[],
  spec: QuantizerSpec,
  method: RangeMethod = { kind: "minmax" },
): Promise<Quantizer> {
  demand("backend", backend);
  demand("options", spec, "spec");
  checkMethod(method);
  const { bits, signed, granularity } = spec;
  const { qmin, qmax } = checkSpec(spec);
  const weights = (method.kind === "mse" ? method.weights : undefined) ?? new Float32Array(0);
  const share = method.kind === "percentile" ? checkShare(method.share) : 1;
  checkArray(x, dims, weights);
  checkFinite(x);
  const { extents, groups } = arrayView(dims, granularity);
  const scales = new Float32Array(groups);
  const zeroPoints = new Int32Array(groups);
  await backend.callAsync(
    "bw_search_scale",
    x,
    weights,
    weights.length,
    ...extents,
    groups,
    rangeMethodCodes[method.kind],
    share,
    spec.symmetric ? 1 : 0,
    qmin,
    qmax,
    scales,
    zeroPoints,
  );
  return { bits, signed, qmin, qmax, granularity, scales, zeroPoints };
}

function grid({ qmin, qmax, granularity }: Quantizer): string {
  return `codes ${qmin} to ${qmax} ${JSON.stringify(granularity)}`;
}
