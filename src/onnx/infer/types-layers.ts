import { intAttribute, intsAttribute, stringAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import type { Dim, ValueType } from "../value-types.js";
import { broadcastDim, broadcastDims } from "./dims.js";
import { type Operands, shaped, type TypeRule } from "./operands.js";

/** Where a window slides along one axis. */
interface Window {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBegin: number;
  readonly padEnd: number;
}

function windows(op: Operands, sizes: readonly number[]): Window[] {
  const axes = sizes.length;
  const strides = intsAttribute(op.node, "strides", undefined);
  const dilations = intsAttribute(op.node, "dilations", undefined);
  const pads = intsAttribute(op.node, "pads", undefined);
  return sizes.map((size, axis) => ({
    size,
    stride: strides?.[axis] ?? 1,
    dilation: dilations?.[axis] ?? 1,
    padBegin: pads?.[axis] ?? 0,
    padEnd: pads?.[axis + axes] ?? 0,
  }));
}

/** Number of places a window takes along an axis of `length`. */
function windowCount(length: Dim, window: Window, autoPad: string, ceilMode: boolean): Dim {
  const { size, stride, dilation, padBegin, padEnd } = window;
  if (autoPad.startsWith("SAME_")) {
    if (stride === 1) return length;
    return typeof length === "number" ? Math.ceil(length / stride) : undefined;
  }
  const padding = autoPad === "VALID" ? 0 : padBegin + padEnd;
  const extent = (size - 1) * dilation + 1;
  if (stride === 1 && padding === extent - 1) return length;
  if (typeof length !== "number") return undefined;
  const steps = (length + padding - extent) / stride;
  if (!ceilMode) return Math.floor(steps) + 1;
  const count = Math.ceil(steps) + 1;
  // A window that would start in the padding behind the input is left out.
  return (count - 1) * stride >= length + padBegin ? count - 1 : count;
}

const conv: TypeRule = (op) => {
  const weight = op.dims(1);
  if (weight === undefined) return [{ dataType: op.type(), dims: undefined }];
  const kernel = intsAttribute(op.node, "kernel_shape", undefined) ?? weight.slice(2);
  const sizes = kernel.map((size) => (typeof size === "number" ? size : Number.NaN));
  const autoPad = stringAttribute(op.node, "auto_pad", "NOTSET");
  const spatial = windows(op, sizes).map((window, axis) => windowCount(op.dims()?.[axis + 2], window, autoPad, false));
  return [{ dataType: op.type(), dims: [op.dims()?.[0], weight[0], ...spatial] }];
};

const convTranspose: TypeRule = (op) => {
  const weight = op.dims(1);
  if (weight === undefined) return [{ dataType: op.type(), dims: undefined }];
  const [, channels, ...kernel] = weight;
  const group = intAttribute(op.node, "group", 1);
  const given = intsAttribute(op.node, "output_shape", undefined);
  const extra = intsAttribute(op.node, "output_padding", undefined);
  const autoPad = stringAttribute(op.node, "auto_pad", "NOTSET");
  const sizes = kernel.map((size) => (typeof size === "number" ? size : Number.NaN));
  const spatial = windows(op, sizes).map(({ size, stride, dilation, padBegin, padEnd }, axis): Dim => {
    if (given !== undefined) return given[axis];
    const length = op.dims()?.[axis + 2];
    if (typeof length !== "number") return undefined;
    if (autoPad.startsWith("SAME_")) return length * stride;
    const padding = autoPad === "VALID" ? 0 : padBegin + padEnd;
    return stride * (length - 1) + (extra?.[axis] ?? 0) + (size - 1) * dilation + 1 - padding;
  });
  return [
    {
      dataType: op.type(),
      dims: [op.dims()?.[0], typeof channels === "number" ? channels * group : undefined, ...spatial],
    },
  ];
};

const pool: TypeRule = (op) => {
  const dims = op.dims();
  const kernel = intsAttribute(op.node, "kernel_shape", undefined);
  if (dims === undefined || kernel === undefined) return [{ dataType: op.type(), dims: undefined }];
  const autoPad = stringAttribute(op.node, "auto_pad", "NOTSET");
  const ceilMode = intAttribute(op.node, "ceil_mode", 0) !== 0;
  const spatial = windows(op, kernel).map((window, axis) => windowCount(dims[axis + 2], window, autoPad, ceilMode));
  const result: ValueType = { dataType: op.type(), dims: [dims[0], dims[1], ...spatial] };
  // MaxPool's second output holds indices.
  return [result, { dataType: Code.INT64, dims: result.dims }];
};

const globalPool: TypeRule = (op) => [
  { dataType: op.type(), dims: op.dims()?.map((dim, axis) => (axis < 2 ? dim : 1)) },
];

const gemm: TypeRule = (op) => {
  const rows = op.dims(0)?.[intAttribute(op.node, "transA", 0) === 0 ? 0 : 1];
  const columns = op.dims(1)?.[intAttribute(op.node, "transB", 0) === 0 ? 1 : 0];
  return [{ dataType: op.type(), dims: [rows, columns] }];
};

const matMul: TypeRule = (op) => {
  const [a, b] = [op.dims(0), op.dims(1)];
  if (a === undefined || b === undefined || a.length === 0 || b.length === 0) {
    return [{ dataType: op.type(), dims: undefined }];
  }
  const batch = broadcastDims([a.slice(0, -2), b.slice(0, -2)]);
  // A vector is a matrix of one row or column, which the result does not keep.
  const rows = a.length === 1 ? [] : [a.at(-2)];
  const columns = b.length === 1 ? [] : [b.at(-1)];
  return [{ dataType: op.type(), dims: batch && [...batch, ...rows, ...columns] }];
};

/** RNN, GRU, LSTM: all steps, the last hidden state, and for LSTM the last cell state. */
const recurrent: TypeRule = (op) => {
  const dims = op.dims();
  const weight = op.dims(1);
  if (dims === undefined || weight === undefined) return [];
  const directions = weight[0];
  const hidden = intAttribute(op.node, "hidden_size", undefined) ?? op.dims(2)?.[2];
  const batchFirst = intAttribute(op.node, "layout", 0) !== 0;
  const [steps, batch] = batchFirst ? [dims[1], dims[0]] : dims;
  const state: ValueType = {
    dataType: op.type(),
    dims: batchFirst ? [batch, directions, hidden] : [directions, batch, hidden],
  };
  const all = batchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden];
  return [{ dataType: op.type(), dims: all }, state, state];
};

/** The labels of the result name axes of the operands; those behind an ellipsis are left open. */
const einsum = shaped((op) => {
  const [left = "", given] = stringAttribute(op.node, "equation", "").replaceAll(" ", "").split("->");
  if (left.includes(".")) return undefined;
  const result = given ?? impliedLabels(left);
  const sizes = new Map<string, Dim>();
  for (const [port, labels] of left.split(",").entries()) {
    for (const [axis, label] of [...labels].entries()) {
      const size = op.dims(port)?.[axis];
      // Runtimes stretch an axis of one element to that of another operand.
      sizes.set(label, sizes.has(label) ? broadcastDim(sizes.get(label), size) : size);
    }
  }
  return [...result].map((label) => sizes.get(label));
});

/** Those that occur once, in their order. */
function impliedLabels(operands: string): string {
  const labels = [...operands.replaceAll(",", "")].sort();
  return labels.filter((label) => labels.indexOf(label) === labels.lastIndexOf(label)).join("");
}

/** Operators that hold a model's weights, and pooling. */
export const layerTypes: Readonly<Record<string, TypeRule>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  Gemm: gemm,
  MatMul: matMul,
  Einsum: einsum,
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
};
