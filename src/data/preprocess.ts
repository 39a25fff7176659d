// From stored values to what the model takes: x = (value * scale - mean) / std for each channel, in double, rounded once
// to the model's type. Channels are those of the target, after any reversal, so mean and std are written in the model's order.

import { BitwrightError } from "../errors.js";
import { type DataType, elementCount, type TensorArrays } from "../tensor.js";
import { convertIntegers, type FloatArray, mapBytes, mapNumbers, newArray } from "./convert.js";
import { type Layout, type Rearrangement, rearrange } from "./layout.js";
import type { RawArray } from "./npy.js";

/** One sample of one input: C order, without the sample axis. */
export interface Sample {
  readonly dims: readonly number[];
  readonly data: TensorArrays[DataType];
}

export interface Preprocessing {
  readonly dtype: DataType;
  readonly layout: Layout | undefined;
  readonly reverseChannels: boolean;
  /** Each has one entry, or one for every channel. */
  readonly scale: readonly number[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Turns a stored sample of shape `dims` into what the model takes; `where` names it in errors. */
export type Preprocess = (data: RawArray, dims: readonly number[], where: string) => Sample;

/** Compiles the preprocessing of one input; what depends on the shape is planned once for as long as the shape stays. */
export function preprocessor(steps: Preprocessing): Preprocess {
  let plan: Plan | undefined;
  let tables: FloatArray[] | undefined;
  return (data, dims, where) => {
    if (plan === undefined || plan.source.join() !== dims.join()) {
      plan = planFor(steps, dims, where);
      tables = undefined;
    }
    const result = newArray(steps.dtype, elementCount(plan.dims), where);
    if (!(result instanceof Float32Array || result instanceof Float64Array)) {
      convertIntegers(data, result, plan.gather, steps.dtype, where);
    } else if (data instanceof Uint8Array) {
      tables ??= byteTables(steps.dtype, plan, where);
      mapBytes(data, result, plan, tables);
    } else {
      mapNumbers(data, result, plan);
      checkFinite(result, where);
    }
    return { dims: plan.dims, data: result };
  };
}

/** A rearrangement with the arithmetic of each channel. */
export interface Plan extends Rearrangement {
  readonly source: readonly number[];
  readonly affine: readonly { readonly scale: number; readonly mean: number; readonly std: number }[];
}

function planFor(steps: Preprocessing, dims: readonly number[], where: string): Plan {
  const moved = rearrange(steps.layout, dims, steps.reverseChannels, where);
  for (const name of ["scale", "mean", "std"] as const) {
    const { length } = steps[name];
    if (length === 1 || length === moved.channels) continue;
    throw new BitwrightError("invalid-data", `${name} does not fit the channels of the data`, {
      where,
      expected: moved.channels === 1 ? "one entry" : `1 or ${moved.channels} entries`,
      received: `${length} entries`,
      remedy:
        steps.layout === undefined ? 'Name the channel axis with "layout", as in "NHWC>NCHW".' : "Correct the list.",
    });
  }
  const at = (values: readonly number[], c: number) => values[values.length === 1 ? 0 : c]!;
  const affine = Array.from({ length: moved.channels }, (_, c) => ({
    scale: at(steps.scale, c),
    mean: at(steps.mean, c),
    std: at(steps.std, c),
  }));
  return { ...moved, source: dims, affine };
}

/** A byte takes only 256 values, so each channel's arithmetic is done, and checked, once for each of them. */
function byteTables(dtype: DataType, plan: Plan, where: string): FloatArray[] {
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  return plan.affine.map((channel) => {
    const table = newArray(dtype, bytes.length, where) as FloatArray;
    mapNumbers(bytes, table, { gather: undefined, affine: [channel], channelRun: bytes.length });
    checkFinite(table, where);
    return table;
  });
}

export function checkFinite(values: FloatArray, where: string): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new BitwrightError("invalid-data", "the data holds a value that is not finite", {
      where,
      expected: "finite numbers",
      received: `${values[i]} at element ${i}`,
      remedy: "Remove the sample, or correct scale, mean and std.",
    });
  }
}
