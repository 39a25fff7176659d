import { intAttribute, intsAttribute, stringAttribute } from "../attributes.js";
import type { Dim } from "../value-types.js";
import { broadcastDims, normalizeAxes, normalizeAxis, productDim, quotientDim } from "./dims.js";
import { type Operands, shaped, type TypeRule } from "./operands.js";

const reshape = shaped((op) => {
  const target = op.elements(1);
  const from = op.dims();
  if (target === undefined) {
    const rank = op.dims(1)?.[0];
    return typeof rank === "number" && rank < 64 ? new Array<Dim>(rank).fill(undefined) : undefined;
  }
  const keepZero = intAttribute(op.node, "allowzero", 0) !== 0;
  const dims = target.map((dim, axis) => (dim === 0 && !keepZero ? from?.[axis] : dim));
  const open = dims.indexOf(-1);
  if (open < 0) return dims;
  const others = dims.filter((_, axis) => axis !== open);
  dims[open] = from === undefined || others.includes(0) ? undefined : quotientDim(from, others);
  return dims;
});

const flatten = shaped((op) => {
  const dims = op.dims();
  const axis = intAttribute(op.node, "axis", 1);
  if (dims === undefined) return [undefined, undefined];
  // A split at the rank itself is allowed.
  const at = axis < 0 ? axis + dims.length : axis;
  return [productDim(dims.slice(0, at)), productDim(dims.slice(at))];
});

const transpose = shaped((op) => {
  const dims = op.dims();
  const permutation = intsAttribute(op.node, "perm", undefined);
  if (permutation === undefined) return dims && [...dims].reverse();
  return permutation.map((axis) => dims?.[axis]);
});

const squeeze = shaped((op) => {
  const dims = op.dims();
  const axes = op.parameters(1, "axes");
  if (dims === undefined || axes === undefined) return undefined;
  if (axes !== "absent") {
    const dropped = normalizeAxes(axes, dims.length);
    return dropped && dims.filter((_, axis) => !dropped.includes(axis));
  }
  return dims.every((dim) => typeof dim === "number") ? dims.filter((dim) => dim !== 1) : undefined;
});

const unsqueeze = shaped((op) => {
  const dims = op.dims();
  const axes = op.parameters(1, "axes");
  if (dims === undefined || axes === undefined || axes === "absent") return undefined;
  const rank = dims.length + axes.length;
  const added = normalizeAxes(axes, rank);
  if (added === undefined) return undefined;
  const rest = dims.values();
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : rest.next().value));
});

const concat = shaped((op) => {
  const shapes = op.inputs.map((facts) => facts?.dims);
  const rank = shapes.find((dims) => dims !== undefined)?.length;
  const along = rank === undefined ? undefined : normalizeAxis(intAttribute(op.node, "axis", 0), rank);
  if (rank === undefined || along === undefined) return undefined;
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((dims) => dims?.[axis]);
    if (axis !== along)
      return sizes.find((size) => typeof size === "number") ?? sizes.find((size) => size !== undefined);
    if (sizes.length === 1) return sizes[0];
    return sizes.every((size) => typeof size === "number") ? sizes.reduce((sum, size) => sum + size, 0) : undefined;
  });
});

const gather = shaped((op) => {
  const [dims, indices] = [op.dims(), op.dims(1)];
  const axis = dims && normalizeAxis(intAttribute(op.node, "axis", 0), dims.length);
  if (dims === undefined || indices === undefined || axis === undefined) return undefined;
  return [...dims.slice(0, axis), ...indices, ...dims.slice(axis + 1)];
});

const gatherNd = shaped((op) => {
  const [dims, indices] = [op.dims(), op.dims(1)];
  const taken = indices?.at(-1);
  if (dims === undefined || indices === undefined || typeof taken !== "number") return undefined;
  return [...indices.slice(0, -1), ...dims.slice(intAttribute(op.node, "batch_dims", 0) + taken)];
});

const pad = shaped((op) => {
  const dims = op.dims();
  const pads = op.parameters(1, "pads");
  const axes = op.has(3) ? op.integers(3) : dims?.map((_, axis) => axis);
  const padded = axes && dims && normalizeAxes(axes, dims.length);
  if (dims === undefined || padded === undefined || !Array.isArray(pads)) return dims?.map(() => undefined);
  return dims.map((dim, axis) => {
    const i = padded.indexOf(axis);
    if (i < 0) return dim;
    const added = (pads[i] ?? 0) + (pads[i + padded.length] ?? 0);
    return added === 0 ? dim : typeof dim === "number" ? dim + added : undefined;
  });
});

const expand = shaped((op) => {
  const target = op.elements(1);
  return broadcastDims([op.dims(), target]);
});

const tile = shaped((op) => {
  const repeats = op.elements(1);
  return op.dims()?.map((dim, axis) => {
    const times = repeats?.[axis];
    return times === 1 ? dim : typeof dim === "number" && typeof times === "number" ? dim * times : undefined;
  });
});

const resize = shaped((op) => {
  const dims = op.dims();
  const scalesPort = op.node.opType === "Upsample" || op.opset < 11 ? 1 : 2;
  if (op.has(3)) {
    const plain = intsAttribute(op.node, "axes", undefined) === undefined;
    const stretch = stringAttribute(op.node, "keep_aspect_ratio_policy", "stretch") === "stretch";
    const sizes = op.elements(3);
    return plain && stretch && sizes !== undefined ? sizes : dims?.map(() => undefined);
  }
  const content = op.inputs[scalesPort]?.content;
  const scales = op.opset < 9 ? undefined : content && Array.from(content.data);
  const crops = stringAttribute(op.node, "coordinate_transformation_mode", "half_pixel") === "tf_crop_and_resize";
  if (crops || intsAttribute(op.node, "axes", undefined) !== undefined) return dims?.map(() => undefined);
  return dims?.map((dim, axis) => {
    const scale = scales?.[axis];
    if (scale === 1) return dim;
    // Runtimes multiply in float32, where 10 times 0.7 is 7.
    return typeof dim === "number" && typeof scale === "number" ? Math.floor(Math.fround(dim * scale)) : undefined;
  });
});

const depthToSpace = shaped((op) => scaleBlocks(op, intAttribute(op.node, "blocksize", 1)));
const spaceToDepth = shaped((op) => scaleBlocks(op, 1 / intAttribute(op.node, "blocksize", 1)));

/** Height and width times `factor`, channels divided by its square. */
function scaleBlocks(op: Operands, factor: number): Dim[] | undefined {
  const dims = op.dims();
  const [batch, ...rest] = dims ?? [];
  const factors = [1 / factor ** 2, factor, factor];
  const sizes = rest.map((dim, i) => (typeof dim === "number" ? Math.round(dim * factors[i]!) : undefined));
  return dims?.length === 4 ? [batch, ...sizes] : undefined;
}

/** Operators that reshape, move, join, repeat or resample. */
export const layoutTypes: Readonly<Record<string, TypeRule>> = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Gather: gather,
  GatherElements: (op) => [{ dataType: op.type(), dims: op.dims(1) }],
  GatherND: gatherNd,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Resize: resize,
  Upsample: resize,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
