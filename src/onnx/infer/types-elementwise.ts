import { intAttribute, tensorAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import type { Dim, ValueType } from "../value-types.js";
import { broadcastDims } from "./dims.js";
import type { Operands, TypeRule } from "./operands.js";

/** Output 0 has the type and shape of input 0; further outputs (masks, statistics) are left open. */
const sameAsFirst: TypeRule = (op) => [{ dataType: op.type(), dims: op.dims() }];

const broadcast: TypeRule = (op) => [{ dataType: op.type(), dims: broadcastInputs(op) }];

const compare: TypeRule = (op) => [{ dataType: Code.BOOL, dims: broadcastInputs(op) }];

const predicate: TypeRule = (op) => [{ dataType: Code.BOOL, dims: op.dims() }];

const cast: TypeRule = (op) => [{ dataType: intAttribute(op.node, "to", 0), dims: op.dims() }];

/** The scale's element type decides. */
const dequantize: TypeRule = (op) => [{ dataType: op.type(1), dims: op.dims() }];

const quantize: TypeRule = (op) => [
  { dataType: op.has(2) ? op.type(2) : intAttribute(op.node, "output_dtype", 0) || Code.UINT8, dims: op.dims() },
];

const where: TypeRule = (op) => [{ dataType: op.type(1), dims: broadcastInputs(op) }];

const constant: TypeRule = (op): ValueType[] => {
  const value = tensorAttribute(op.node, "value");
  return value === undefined ? [] : [{ dataType: value.dataType, dims: value.dims.map(Number) }];
};

function broadcastInputs(op: Operands): Dim[] | undefined {
  return broadcastDims(op.inputs.map((facts) => facts?.dims));
}

function rows(rule: TypeRule, ops: string): Record<string, TypeRule> {
  return Object.fromEntries(ops.split(" ").map((op) => [op, rule]));
}

/** Operators whose outputs have the shape of their inputs, broadcast where there are several. */
export const elementwiseTypes: Readonly<Record<string, TypeRule>> = {
  ...rows(
    sameAsFirst,
    "Relu LeakyRelu PRelu Sigmoid Tanh Elu Selu Celu ThresholdedRelu HardSigmoid HardSwish Mish Softplus Softsign Gelu Swish " +
      "Erf Exp Log Sqrt Reciprocal Abs Neg Sign Floor Ceil Round Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh " +
      "Identity Clip Dropout Softmax LogSoftmax Hardmax LayerNormalization RMSNormalization SimplifiedLayerNormalization InstanceNormalization " +
      "GroupNormalization BatchNormalization LRN LpNormalization MeanVarianceNormalization CumSum Trilu Shrink " +
      "ScatterND ScatterElements Scatter BitwiseNot Not",
  ),
  ...rows(broadcast, "Add Sub Mul Div Pow Mod Min Max Sum Mean BitwiseAnd BitwiseOr BitwiseXor BitShift"),
  ...rows(compare, "Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor"),
  ...rows(predicate, "IsNaN IsInf"),
  Cast: cast,
  CastLike: (op) => [{ dataType: op.type(1), dims: op.dims() }],
  Constant: constant,
  DequantizeLinear: dequantize,
  QuantizeLinear: quantize,
  Where: where,
};
