import { type DataType, elementCount, type Tensor } from "../../tensor.js";
import { typedArrays } from "../typed-arrays.js";

/** An element that is the same in every run, the name of a size, or undefined. */
export type Element = number | bigint | string | undefined;

/** Elements of a value in C order, as far as they are known before running: int64 as bigint, other types as numbers. */
export interface Content {
  readonly dtype: DataType;
  readonly dims: readonly number[];
  /** A typed array when every element is known. */
  readonly data: ArrayLike<Element>;
}

/** The content of a tensor whose elements are all known. */
export function contentOf({ dtype, dims, data }: Tensor): Content {
  return { dtype, dims, data };
}

/** The tensor of a content; undefined while an element is not known. */
export function tensorOf({ dtype, dims, data }: Content): Tensor | undefined {
  if (ArrayBuffer.isView(data)) return { dtype, dims, data } as unknown as Tensor;
  for (let i = 0; i < data.length; i++) {
    if (typeof data[i] !== (dtype === "int64" ? "bigint" : "number")) return undefined;
  }
  return { dtype, dims, data: typedArrays[dtype].from(data) } as Tensor;
}

/** Room for `count` elements taken from `data`: typed as it is, or open when some of its elements are not known. */
export function roomFor(data: ArrayLike<Element>, count: number): Element[] {
  if (!ArrayBuffer.isView(data)) return new Array<Element>(count);
  const TypedArray = data.constructor as new (length: number) => ArrayLike<Element>;
  return new TypedArray(count) as unknown as Element[];
}

/** Distance between neighbours along each axis of a dense tensor. */
export function stridesOf(dims: readonly number[]): number[] {
  return dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
}

/**
 * Elements read in C order of `dims` from a start, a distance per axis apart: slices, transposes and expansions alike.
 * Undefined when that leads out of the data, which only a node that makes no sense asks for.
 */
export function readStrided(
  data: ArrayLike<Element>,
  dims: readonly number[],
  strides: readonly number[],
  start = 0,
): ArrayLike<Element> | undefined {
  const count = elementCount(dims);
  const ends = dims.map((dim, axis) => strides[axis]! * (dim - 1));
  const lowest = ends.reduce((sum, end) => sum + Math.min(end, 0), start);
  const highest = ends.reduce((sum, end) => sum + Math.max(end, 0), start);
  if (count > 0 && !(lowest >= 0 && highest < data.length)) return undefined;
  const result = roomFor(data, count);
  const index = dims.map(() => 0);
  let from = start;
  for (let to = 0; to < count; to++) {
    result[to] = data[from];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < dims[axis]!) break;
      from -= strides[axis]! * dims[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/** Strides that read a tensor as if it were broadcast to `dims`. */
export function broadcastStrides(from: readonly number[], dims: readonly number[]): number[] {
  const strides = stridesOf(from);
  const missing = dims.length - from.length;
  return dims.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : strides[axis - missing]!));
}
