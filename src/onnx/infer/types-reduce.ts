import { intAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import { normalizeAxes, normalizeAxis } from "./dims.js";
import { shaped, type TypeRule } from "./operands.js";

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

/** A column for each element found, with an index for each axis; a scalar counts as a list. */
const nonZero: TypeRule = (op) => {
  const rank = op.dims()?.length;
  return [{ dataType: Code.INT64, dims: [rank === 0 ? 1 : rank, undefined] }];
};

const reductions =
  "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare";

/** Operators that reduce axes or pick along them. */
export const reduceTypes: Readonly<Record<string, TypeRule>> = {
  ...Object.fromEntries(reductions.split(" ").map((opType) => [opType, reduce])),
  ArgMax: arg,
  ArgMin: arg,
  TopK: topK,
  NonZero: nonZero,
};
