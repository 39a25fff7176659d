import { intAttribute, intsAttribute, stringAttribute, tensorAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import type { Dim, ValueType } from "../value-types.js";
import { broadcastDims, normalizeAxes, normalizeAxis, productDim, quotientDim } from "./dims.js";
import type { Operands, TypeRule } from "./operands.js";

/** A rule that gives the first output's shape; its element type is the first input's. */
function shaped(rule: (op: Operands) => readonly Dim[] | undefined): TypeRule {
  return (op) => [{ dataType: op.type(), dims: rule(op) }];
}

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

const gather = shaped((op) => {
  const [dims, indices] = [op.dims(), op.dims(1)];
  const axis = dims && normalizeAxis(intAttribute(op.node, "axis", 0), dims.length);
  if (dims === undefined || indices === undefined || axis === undefined) return undefined;
  return [...dims.slice(0, axis), ...indices, ...dims.slice(axis + 1)];
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
    return typeof dim === "number" && typeof scale === "number" ? Math.floor(dim * scale) : undefined;
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

const shape: TypeRule = (op) => {
  const dims = op.dims();
  if (dims === undefined) return [{ dataType: Code.INT64, dims: [undefined] }];
  return [{ dataType: Code.INT64, dims: [dims.slice(...shapeBounds(op, dims.length)).length] }];
};

/** The part of the shape that a Shape node gives: its attributes `start` and `end`. */
export function shapeBounds(op: Operands, rank: number): [start: number, end: number] {
  const clamp = (axis: number) => Math.max(0, Math.min(rank, axis < 0 ? axis + rank : axis));
  return [clamp(intAttribute(op.node, "start", 0)), clamp(intAttribute(op.node, "end", rank))];
}

const constantOfShape: TypeRule = (op) => {
  const value = tensorAttribute(op.node, "value");
  return [{ dataType: value?.dataType ?? Code.FLOAT, dims: op.elements(0) ?? unknownOfRank(op.dims()?.[0]) }];
};

function unknownOfRank(rank: Dim): Dim[] | undefined {
  return typeof rank === "number" && rank < 64 ? new Array<Dim>(rank).fill(undefined) : undefined;
}

const range: TypeRule = (op) => {
  const [start, limit, delta] = [0, 1, 2].map((port) => op.elements(port)?.[0]);
  const known = typeof start === "number" && typeof limit === "number" && typeof delta === "number" && delta !== 0;
  return [{ dataType: op.type(), dims: [known ? Math.max(0, Math.ceil((limit - start) / delta)) : undefined] }];
};

const topK: TypeRule = (op) => {
  const dims = op.dims();
  const axis = dims && normalizeAxis(intAttribute(op.node, "axis", -1), dims.length);
  const kept = axis === undefined ? undefined : dims?.with(axis, op.elements(1)?.[0]);
  return [
    { dataType: op.type(), dims: kept },
    { dataType: Code.INT64, dims: kept },
  ];
};

/** ReduceX: the axes named are dropped or become one; all of them when none is named. */
const reduce = shaped((op) => {
  const dims = op.dims();
  const axes = op.parameters(1, "axes");
  const keep = intAttribute(op.node, "keepdims", 1) !== 0;
  if (dims === undefined) return undefined;
  if (axes === undefined) return keep ? dims.map(() => undefined) : undefined;
  const none = axes === "absent" || axes.length === 0;
  if (none && intAttribute(op.node, "noop_with_empty_axes", 0) !== 0) return dims;
  const reduced = none ? dims.map((_, axis) => axis) : normalizeAxes(axes, dims.length);
  if (reduced === undefined) return undefined;
  return keep
    ? dims.map((dim, axis) => (reduced.includes(axis) ? 1 : dim))
    : dims.filter((_, axis) => !reduced.includes(axis));
});

const arg: TypeRule = (op) => {
  const dims = op.dims();
  const axis = dims && normalizeAxis(intAttribute(op.node, "axis", 0), dims.length);
  if (dims === undefined || axis === undefined) return [{ dataType: Code.INT64, dims: undefined }];
  const keep = intAttribute(op.node, "keepdims", 1) !== 0;
  return [{ dataType: Code.INT64, dims: keep ? dims.with(axis, 1) : dims.toSpliced(axis, 1) }];
};

const reductions =
  "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare";

/** Operators that move, cut, join or reduce along axes. */
export const layoutTypes: Readonly<Record<string, TypeRule>> = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: (op) => [{ dataType: op.type(), dims: op.dims(1) }],
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Resize: resize,
  Upsample: resize,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Shape: shape,
  Size: () => [{ dataType: Code.INT64, dims: [] }],
  ConstantOfShape: constantOfShape,
  Range: range,
  TopK: topK,
  NonZero: (op) => [{ dataType: Code.INT64, dims: [op.dims()?.length, undefined] }],
  ArgMax: arg,
  ArgMin: arg,
  ...Object.fromEntries(reductions.split(" ").map((opType) => [opType, reduce])),
};
