import type { Dim } from "../value-types.js";

/** Dimensions that are all numbers; undefined when one is not. */
export function staticDims(dims: readonly Dim[] | undefined): number[] | undefined {
  return dims?.every((dim) => typeof dim === "number") ? [...dims] : undefined;
}

/** The dimension two broadcast operands have together. */
export function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === 1) return b;
  if (b === 1 || a === b) return a;
  // Of a size above one and an unknown one, the unknown one can only be that size or one.
  if (typeof a === "number" && typeof b !== "number") return a;
  if (typeof b === "number" && typeof a !== "number") return b;
  return undefined;
}

/** Multidirectional broadcasting: shapes aligned at their last dimensions. */
export function broadcastDims(shapes: readonly (readonly Dim[] | undefined)[]): Dim[] | undefined {
  let result: Dim[] = [];
  for (const shape of shapes) {
    if (shape === undefined) return undefined;
    const rank = Math.max(result.length, shape.length);
    const at = (dims: readonly Dim[], axis: number): Dim => {
      const index = axis - (rank - dims.length);
      return index < 0 ? 1 : dims[index];
    };
    const joined = result;
    result = Array.from({ length: rank }, (_, axis) => broadcastDim(at(joined, axis), at(shape, axis)));
  }
  return result;
}

/** An axis counted from the front; undefined when the shape does not have it. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const fromFront = axis < 0 ? axis + rank : axis;
  return fromFront >= 0 && fromFront < rank ? fromFront : undefined;
}

/** Axes counted from the front, in the order given; undefined when the shape does not have one of them. */
export function normalizeAxes(axes: readonly number[], rank: number): number[] | undefined {
  const result = axes.map((axis) => normalizeAxis(axis, rank));
  return result.every((axis) => axis !== undefined) ? result : undefined;
}

/** The product of dimensions; a name stands for itself when all others are one. */
export function productDim(dims: readonly Dim[]): Dim {
  return quotientDim(dims, []);
}

/** The product of some dimensions divided by that of others, names cancelling; undefined when the rest is no single dimension. */
export function quotientDim(dividend: readonly Dim[], divisor: readonly Dim[]): Dim {
  let size = 1;
  const names: string[] = [];
  for (const dim of dividend) {
    if (dim === undefined) return undefined;
    if (typeof dim === "number") size *= dim;
    else names.push(dim);
  }
  for (const dim of divisor) {
    if (dim === undefined) return undefined;
    if (typeof dim === "number") size /= dim;
    else if (names.includes(dim)) names.splice(names.indexOf(dim), 1);
    else return undefined;
  }
  if (!Number.isSafeInteger(size)) return undefined;
  if (names.length === 0 || size === 0) return size;
  return names.length === 1 && size === 1 ? names[0] : undefined;
}
