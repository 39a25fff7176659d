import { entryOf } from "../entry-of.js";

/** Inputs an operator of ONNX cannot do without, where there is not exactly one: a number, or a number by operator set. */
const requiredInputs: Readonly<Record<string, number | ((opset: number) => number)>> = {
  ...rows(0, "Constant RandomNormal RandomUniform Optional SequenceEmpty Loop"),
  ...rows(
    2,
    "Add Sub Mul Div Pow Mod And Or Xor Equal Less LessOrEqual Greater GreaterOrEqual BitShift BitwiseAnd BitwiseOr",
  ),
  ...rows(
    2,
    "BitwiseXor PRelu MatMul Gemm Conv ConvTranspose Reshape Expand Tile Gather GatherElements GatherND CastLike CumSum",
  ),
  ...rows(2, "QuantizeLinear DequantizeLinear LayerNormalization GridSample"),
  ...rows(
    3,
    "Where Range InstanceNormalization GroupNormalization Scatter ScatterElements ScatterND RNN GRU LSTM OneHot RoiAlign",
  ),
  ...rows(5, "BatchNormalization"),
  Slice: (opset) => (opset < 10 ? 1 : 3),
  TopK: (opset) => (opset < 10 ? 1 : 2),
  Pad: (opset) => (opset < 11 ? 1 : 2),
  Unsqueeze: (opset) => (opset < 13 ? 1 : 2),
  Upsample: (opset) => (opset < 9 ? 1 : 2),
  Resize: (opset) => (opset < 11 ? 2 : 1),
};

function rows(count: number, opTypes: string): Record<string, number> {
  return Object.fromEntries(opTypes.split(" ").map((opType) => [opType, count]));
}

/** Inputs that a node of ONNX's own operators must have, none of them left out. */
export function minimumInputs(opType: string, opset: number): number {
  const required = entryOf(requiredInputs, opType) ?? 1;
  return typeof required === "number" ? required : required(opset);
}
