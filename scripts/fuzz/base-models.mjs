// The models that are damaged: small, with the structures that exporters write.

import { buildModel, floats, int64 } from "./build-model.mjs";

/** @typedef {import("../../dist/index.js").OpInfo} OpInfo */

/** @type {(values: number[]) => ReturnType<typeof int64>} */
const list = (values) => int64([values.length], values);

/** Convolutions with normalization, padding, a residual connection, pooling and a classifier. */
export function residualModel() {
  return buildModel({
    opset: 17,
    inputs: { image: { dims: ["N", 3, 12, 12] } },
    constants: {
      pads: list([0, 0, 1, 1, 0, 0, 1, 1]),
      w0: floats([8, 3, 3, 3]),
      scale: floats([8], 1),
      shift: floats([8]),
      mean: floats([8], 0.1),
      variance: { dtype: "float32", dims: [8], data: new Float32Array(8).fill(1) },
      w1: floats([8, 1, 3, 3]),
      b1: floats([8]),
      w2: floats([8, 8, 1, 1]),
      low: { dtype: "float32", dims: [], data: Float32Array.of(0) },
      high: { dtype: "float32", dims: [], data: Float32Array.of(6) },
      w3: floats([10, 8]),
      b3: floats([10]),
    },
    nodes: [
      ["Pad", ["image", "pads"], ["padded"]],
      ["Conv", ["padded", "w0"], ["c0"], { strides: [1n, 1n], kernel_shape: [3n, 3n] }],
      ["BatchNormalization", ["c0", "scale", "shift", "mean", "variance"], ["n0"], { epsilon: 1e-5 }],
      ["Relu", ["n0"], ["r0"]],
      ["Conv", ["r0", "w1", "b1"], ["c1"], { group: 8n, pads: [1n, 1n, 1n, 1n], dilations: [1n, 1n] }],
      ["Clip", ["c1", "low", "high"], ["r1"]],
      ["Conv", ["r1", "w2"], ["c2"], { auto_pad: "SAME_UPPER" }],
      ["Add", ["c2", "r0"], ["sum"]],
      ["MaxPool", ["sum"], ["p0"], { kernel_shape: [2n, 2n], strides: [2n, 2n] }],
      ["AveragePool", ["p0"], ["p1"], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n], count_include_pad: 1n }],
      ["GlobalAveragePool", ["p1"], ["pooled"]],
      ["Flatten", ["pooled"], ["flat"], { axis: 1n }],
      ["Gemm", ["flat", "w3", "b3"], ["logits"], { transB: 1n, alpha: 1, beta: 1 }],
    ],
    outputs: ["logits"],
  });
}

/** The arithmetic on shapes that exporters leave in, around a convolution and a matrix product. */
export function arithmeticModel() {
  return buildModel({
    opset: 13,
    inputs: { image: { dims: ["N", 4, 8, 8] } },
    constants: {
      zero: int64([], [0]),
      one: int64([], [1]),
      first: list([0]),
      starts: list([0, 1]),
      ends: list([8, 8]),
      axes: list([2, 3]),
      steps: list([2, 2]),
      pads: list([0, 2, 0, 0, 0, 2, 0, 0]),
      repeats: list([1, 1, 2, 1]),
      channels: list([4, 1, 1]),
      unit: floats([1], 1),
      shapeOfOne: list([1, 1, 1, 1]),
      rest: list([-1]),
      column: list([-1, 1]),
      w0: floats([8, 8, 3, 3]),
      w1: floats([256, 10]),
    },
    nodes: [
      ["Shape", ["image"], ["shape"]],
      ["Gather", ["shape", "zero"], ["batch"], { axis: 0n }],
      ["Unsqueeze", ["batch", "first"], ["rows"]],
      ["Slice", ["image", "starts", "ends", "axes", "steps"], ["sliced"]],
      ["Pad", ["sliced", "pads"], ["widened"], { mode: "constant" }],
      ["Tile", ["widened", "repeats"], ["tiled"]],
      ["Conv", ["tiled", "w0"], ["mixed"], { pads: [1n, 1n, 1n, 1n] }],
      ["Split", ["mixed"], ["left", "right"], { axis: 1n }],
      ["Concat", ["rows", "channels"], ["grid"], { axis: 0n }],
      ["ConstantOfShape", ["grid"], ["zeros"]],
      ["Add", ["zeros", "unit"], ["gain"]],
      ["Mul", ["left", "gain"], ["scaled"]],
      ["Greater", ["right", "unit"], ["mask"]],
      ["Where", ["mask", "scaled", "right"], ["chosen"]],
      ["Expand", ["scaled", "shapeOfOne"], ["spread"]],
      ["Concat", ["chosen", "spread"], ["joined"], { axis: 1n }],
      ["Transpose", ["joined"], ["turned"], { perm: [0n, 2n, 3n, 1n] }],
      ["Concat", ["rows", "rest"], ["target"], { axis: 0n }],
      ["Reshape", ["turned", "target"], ["flat"]],
      ["MatMul", ["flat", "w1"], ["product"]],
      ["Range", ["zero", "batch", "one"], ["numbers"]],
      ["Cast", ["numbers"], ["indices"], { to: 1n }],
      ["Reshape", ["indices", "column"], ["offset"]],
      ["Sub", ["product", "offset"], ["logits"]],
    ],
    outputs: ["logits"],
  });
}

const positions = 6;
const width = 16;
const heads = 2;

/** One block of a transformer encoder over token ids, with a mask. */
export function attentionModel() {
  const split = list([0, 0, heads, width / heads]);
  return buildModel({
    opset: 17,
    inputs: {
      input_ids: { dims: ["N", positions], dtype: "int64" },
      attention_mask: { dims: ["N", positions], dtype: "int64" },
    },
    constants: {
      table: floats([50, width]),
      gain: floats([width], 1),
      shift: floats([width]),
      wq: floats([width, width]),
      wk: floats([width, width]),
      wv: floats([width, width]),
      wo: floats([width, width]),
      split,
      merged: list([0, 0, width]),
      root: { dtype: "float32", dims: [], data: Float32Array.of(Math.sqrt(width / heads)) },
      maskAxes: list([1, 2]),
      one: { dtype: "float32", dims: [], data: Float32Array.of(1) },
      far: { dtype: "float32", dims: [], data: Float32Array.of(-1e4) },
      w1: floats([width, 32]),
      b1: floats([32]),
      w2: floats([32, width]),
      w3: floats([width, 10]),
      b3: floats([10]),
    },
    nodes: [
      ["Gather", ["table", "input_ids"], ["x"]],
      ["LayerNormalization", ["x", "gain", "shift"], ["n"], { axis: -1n }],
      ["MatMul", ["n", "wq"], ["q"]],
      ["MatMul", ["n", "wk"], ["k"]],
      ["MatMul", ["n", "wv"], ["v"]],
      ["Reshape", ["q", "split"], ["q4"]],
      ["Reshape", ["k", "split"], ["k4"]],
      ["Reshape", ["v", "split"], ["v4"]],
      ["Transpose", ["q4"], ["qh"], { perm: [0n, 2n, 1n, 3n] }],
      ["Transpose", ["k4"], ["kh"], { perm: [0n, 2n, 3n, 1n] }],
      ["Transpose", ["v4"], ["vh"], { perm: [0n, 2n, 1n, 3n] }],
      ["MatMul", ["qh", "kh"], ["products"]],
      ["Div", ["products", "root"], ["scores"]],
      ["Cast", ["attention_mask"], ["seen"], { to: 1n }],
      ["Unsqueeze", ["seen", "maskAxes"], ["seen4"]],
      ["Sub", ["one", "seen4"], ["hidden"]],
      ["Mul", ["hidden", "far"], ["penalty"]],
      ["Add", ["scores", "penalty"], ["masked"]],
      ["Softmax", ["masked"], ["weights"], { axis: -1n }],
      ["MatMul", ["weights", "vh"], ["mixed"]],
      ["Transpose", ["mixed"], ["mixedBack"], { perm: [0n, 2n, 1n, 3n] }],
      ["Reshape", ["mixedBack", "merged"], ["joined"]],
      ["MatMul", ["joined", "wo"], ["o"]],
      ["Add", ["x", "o"], ["y"]],
      ["MatMul", ["y", "w1"], ["up"]],
      ["Add", ["up", "b1"], ["biased"]],
      ["Erf", ["biased"], ["bent"]],
      ["Mul", ["bent", "biased"], ["gated"]],
      ["MatMul", ["gated", "w2"], ["down"]],
      ["ReduceMean", ["down"], ["mean"], { axes: [1n], keepdims: 0n }],
      ["Gemm", ["mean", "w3", "b3"], ["logits"]],
    ],
    outputs: ["logits"],
  });
}
