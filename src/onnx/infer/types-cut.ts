import { intAttribute } from "../attributes.js";
import type { Dim, ValueType } from "../value-types.js";
import { normalizeAxes, normalizeAxis } from "./dims.js";
import { type Operands, shaped, type TypeRule } from "./operands.js";

const split: TypeRule = (op) => {
  const count = op.node.output.length;
  const dims = op.dims();
  const along = dims && normalizeAxis(intAttribute(op.node, "axis", 0), dims.length);
  const sizes = splitSizes(op);
  return op.node.output.map((_, output): ValueType => {
    if (dims === undefined || along === undefined) return { dataType: op.type(), dims: undefined };
    return { dataType: op.type(), dims: dims.with(along, sizes?.[output] ?? (count === 1 ? dims[along] : undefined)) };
  });
};

/** The sizes that a Split cuts its axis into; undefined when they are not known. */
export function splitSizes(op: Operands): number[] | undefined {
  const sizes = op.parameters(1, "split");
  if (sizes !== "absent") return sizes;
  const dims = op.dims();
  const along = dims && normalizeAxis(intAttribute(op.node, "axis", 0), dims.length);
  const length = along === undefined ? undefined : dims?.[along];
  if (typeof length !== "number") return undefined;
  const count = op.node.output.length;
  // Equal parts, of which the last one may be smaller.
  const part = Math.ceil(length / count);
  return Array.from({ length: count }, (_, output) => Math.max(0, Math.min(part, length - output * part)));
}

/** One axis of a Slice with its bounds inside the shape. */
export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** What a Slice keeps of each axis it names; "unknown" for an axis whose part depends on the run. */
export function sliceRanges(op: Operands): (SliceRange | { readonly axis: number; readonly count: Dim })[] | undefined {
  const dims = op.dims();
  const starts = op.parameters(1, "starts");
  const ends = op.parameters(2, "ends");
  const named = op.parameters(3, "axes");
  const steps = op.has(4) ? op.integers(4) : "absent";
  if (dims === undefined || !Array.isArray(starts) || !Array.isArray(ends)) return undefined;
  if (named === undefined || steps === undefined) return undefined;
  const axes = normalizeAxes(named === "absent" ? starts.map((_, axis) => axis) : named, dims.length);
  return axes?.map((axis, i) => {
    const step = steps === "absent" ? 1 : (steps[i] ?? 1);
    const [from, to] = [starts[i] ?? 0, ends[i] ?? 0];
    const length = dims[axis];
    if (typeof length !== "number" || step === 0) {
      const whole = from === 0 && step === 1 && to >= 2 ** 31 - 1;
      return { axis, count: whole ? length : undefined };
    }
    const clamp = (value: number, low: number, high: number) =>
      Math.max(low, Math.min(high, value < 0 ? value + length : value));
    const start = step > 0 ? clamp(from, 0, length) : clamp(from, 0, length - 1);
    const end = step > 0 ? clamp(to, 0, length) : clamp(to, -1, length - 1);
    return { axis, start, step, count: Math.max(0, Math.ceil((end - start) / step)) };
  });
}

const slice = shaped((op) => {
  const dims = op.dims();
  const ranges = sliceRanges(op);
  if (dims === undefined || ranges === undefined) return dims?.map(() => undefined);
  return ranges.reduce<readonly Dim[]>((kept, { axis, count }) => kept.with(axis, count), dims);
});

/** Operators that take parts of a tensor along axes. */
export const cutTypes: Readonly<Record<string, TypeRule>> = { Split: split, Slice: slice };
