import { entryOf } from "../../entry-of.js";
import { type DataType, elementCount } from "../../tensor.js";
import { intAttribute, intsAttribute, tensorAttribute } from "../attributes.js";
import { readExactTensor } from "../initializer.js";
import { arithmetic } from "./arithmetic.js";
import { broadcastStrides, type Content, type Element, readStrided, roomFor, stridesOf } from "./content.js";
import { normalizeAxis } from "./dims.js";
import type { Operands } from "./operands.js";
import { sliceRanges, splitSizes } from "./types-cut.js";
import { shapeBounds } from "./types-generate.js";

/** Gives the elements of one output, whose shape `dims` is known, as far as they follow from the inputs. */
export type ContentRule = (op: Operands, dims: readonly number[], output: number) => ArrayLike<Element> | undefined;

/** The same elements under another shape. */
const relabel: ContentRule = (op) => op.inputs[0]?.content?.data;

const shape: ContentRule = (op) => {
  const dims = op.dims();
  if (dims === undefined) return undefined;
  return dims.slice(...shapeBounds(op, dims.length)).map((dim) => (typeof dim === "number" ? BigInt(dim) : dim));
};

const size: ContentRule = (op) => {
  const dims = op.dims();
  return dims?.every((dim) => typeof dim === "number") ? [BigInt(elementCount(dims))] : undefined;
};

const constant: ContentRule = (op) => {
  const value = tensorAttribute(op.node, "value");
  return value === undefined ? undefined : readExactTensor(value)?.data;
};

const constantOfShape: ContentRule = (op, dims) => {
  const value = tensorAttribute(op.node, "value");
  const fill = value === undefined ? 0 : readExactTensor(value)?.data[0];
  return fill === undefined ? undefined : new Array<Element>(elementCount(dims)).fill(fill);
};

const range: ContentRule = (op, [count]) => {
  const [start, , delta] = [0, 1, 2].map((port) => op.inputs[port]?.content?.data[0]);
  if (typeof start === "bigint" && typeof delta === "bigint") {
    return Array.from({ length: count! }, (_, i) => start + BigInt(i) * delta);
  }
  if (op.inputs[0]?.content?.dtype !== "int32" || typeof start !== "number" || typeof delta !== "number")
    return undefined;
  return Array.from({ length: count! }, (_, i) => start + i * delta);
};

const transpose: ContentRule = (op, dims) => {
  const content = op.inputs[0]?.content;
  if (content === undefined) return undefined;
  const strides = stridesOf(content.dims);
  const permutation = intsAttribute(op.node, "perm", undefined) ?? content.dims.map((_, axis) => axis).reverse();
  return readStrided(
    content.data,
    dims,
    permutation.map((axis) => strides[axis]!),
  );
};

const expand: ContentRule = (op, dims) => {
  const content = op.inputs[0]?.content;
  return content && readStrided(content.data, dims, broadcastStrides(content.dims, dims));
};

const slice: ContentRule = (op, dims) => {
  const content = op.inputs[0]?.content;
  const ranges = sliceRanges(op);
  if (content === undefined || ranges === undefined) return undefined;
  const strides = stridesOf(content.dims);
  let start = 0;
  for (const range of ranges) {
    if (!("start" in range)) return undefined;
    start += range.start * strides[range.axis]!;
    strides[range.axis]! *= range.step;
  }
  return readStrided(content.data, dims, strides, start);
};

const split: ContentRule = (op, dims, output) => {
  const content = op.inputs[0]?.content;
  const sizes = splitSizes(op);
  const axis = content && normalizeAxis(intAttribute(op.node, "axis", 0), content.dims.length);
  if (content === undefined || sizes === undefined || axis === undefined) return undefined;
  const strides = stridesOf(content.dims);
  const before = sizes.slice(0, output).reduce((sum, part) => sum + part, 0);
  return readStrided(content.data, dims, strides, before * strides[axis]!);
};

const gather: ContentRule = (op, dims) => {
  const content = op.inputs[0]?.content;
  const indices = op.inputs[1]?.content;
  const axis = content && normalizeAxis(intAttribute(op.node, "axis", 0), content.dims.length);
  if (content === undefined || indices === undefined || axis === undefined) return undefined;
  const length = content.dims[axis]!;
  const inner = elementCount(content.dims.slice(axis + 1));
  const outer = elementCount(content.dims.slice(0, axis));
  const result = roomFor(content.data, elementCount(dims));
  let to = 0;
  for (let block = 0; block < outer; block++) {
    for (let i = 0; i < indices.data.length; i++) {
      const index = indices.data[i];
      if (typeof index !== "bigint" && typeof index !== "number") return undefined;
      const at = normalizeAxis(Number(index), length);
      if (at === undefined) return undefined;
      for (let k = 0; k < inner; k++) result[to++] = content.data[(block * length + at) * inner + k];
    }
  }
  return result;
};

const concat: ContentRule = (op, dims) => {
  const contents = op.inputs.map((facts) => facts?.content);
  const axis = normalizeAxis(intAttribute(op.node, "axis", 0), dims.length);
  if (axis === undefined || !contents.every((content) => content !== undefined)) return undefined;
  if (contents.some(({ dtype, dims: part }) => dtype !== contents[0]!.dtype || part.length !== dims.length))
    return undefined;
  const open = contents.find((content) => !ArrayBuffer.isView(content.data));
  const result = roomFor((open ?? contents[0]!).data, elementCount(dims));
  const inner = elementCount(dims.slice(axis + 1));
  let to = 0;
  for (let block = 0; block < elementCount(dims.slice(0, axis)); block++) {
    for (const { dims: part, data } of contents) {
      const run = part[axis]! * inner;
      for (let k = 0; k < run; k++) result[to++] = data[block * run + k];
    }
  }
  return result;
};

const tile: ContentRule = (op, dims) => {
  const content = op.inputs[0]?.content;
  if (content === undefined) return undefined;
  // Read each axis as (repeat, position) with no step along the repeat.
  const strides = stridesOf(content.dims).flatMap((stride) => [0, stride]);
  const split = content.dims.flatMap((dim, axis) => [dims[axis]! / dim, dim]);
  return content.data.length === 0 ? [] : readStrided(content.data, split, strides);
};

const contentRules: Readonly<Record<string, ContentRule>> = {
  Identity: relabel,
  Reshape: relabel,
  Flatten: relabel,
  Squeeze: relabel,
  Unsqueeze: relabel,
  Constant: constant,
  Shape: shape,
  Size: size,
  ConstantOfShape: constantOfShape,
  Range: range,
  Transpose: transpose,
  Expand: expand,
  Slice: slice,
  Split: split,
  Gather: gather,
  Concat: concat,
  Tile: tile,
  ...arithmetic,
};

/**
 * Elements of a node's output as far as they are the same in every run.
 * @param limit - largest number of elements to work out.
 */
export function contentOfOutput(
  op: Operands,
  dtype: DataType,
  dims: readonly number[],
  output: number,
  limit: number,
): Content | undefined {
  const rule = entryOf(contentRules, op.node.opType);
  if (rule === undefined || elementCount(dims) > limit) return undefined;
  const data = rule(op, dims, output);
  return data === undefined || data.length !== elementCount(dims) ? undefined : { dtype, dims, data };
}
