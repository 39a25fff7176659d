import { intAttribute, tensorAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import type { Dim } from "../value-types.js";
import { normalizeAxis } from "./dims.js";
import type { Operands, TypeRule } from "./operands.js";

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

const eyeLike: TypeRule = (op) => [{ dataType: intAttribute(op.node, "dtype", op.type()), dims: op.dims() }];

const oneHot: TypeRule = (op) => {
  const dims = op.dims();
  const rank = dims && dims.length + 1;
  const axis = rank === undefined ? undefined : normalizeAxis(intAttribute(op.node, "axis", -1), rank);
  return [
    { dataType: op.type(2), dims: axis === undefined ? undefined : dims?.toSpliced(axis, 0, op.elements(1)?.[0]) },
  ];
};

/** Operators that make tensors of shapes and numbers. */
export const generateTypes: Readonly<Record<string, TypeRule>> = {
  Shape: shape,
  Size: () => [{ dataType: Code.INT64, dims: [] }],
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: eyeLike,
  OneHot: oneHot,
};
