import type { OnnxModel } from "../../../src/onnx/model.js";
import { buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { randomTensor, scalar } from "../../support/tensors.js";

/** A float convolution with random weights whose outputs keep about the spread of its inputs. */
export function conv(
  model: ModelBuilder,
  name: string,
  input: string,
  [outputs, inputs, size]: readonly [number, number, number],
  { group = 1, bias = true, stride = 1 } = {},
): string {
  const fanIn = (inputs / group) * size * size;
  const spread = Math.sqrt(6 / fanIn);
  model.constant(`${name}.w`, randomTensor([outputs, inputs / group, size, size], hash(name), -spread, spread));
  if (bias) model.constant(`${name}.b`, randomTensor([outputs], hash(name) + 1, -0.2, 0.2));
  const pad = BigInt((size - 1) / 2);
  model.node(
    "Conv",
    [input, `${name}.w`, ...(bias ? [`${name}.b`] : [])],
    [`${name}.y`],
    { group: BigInt(group), pads: [pad, pad, pad, pad], strides: [BigInt(stride), BigInt(stride)] },
    { name },
  );
  return `${name}.y`;
}

export function gemm(model: ModelBuilder, name: string, input: string, outputs: number, inputs: number): string {
  const spread = Math.sqrt(6 / inputs);
  model.constant(`${name}.w`, randomTensor([outputs, inputs], hash(name), -spread, spread));
  model.constant(`${name}.b`, randomTensor([outputs], hash(name) + 1, -0.2, 0.2));
  model.node("Gemm", [input, `${name}.w`, `${name}.b`], [`${name}.y`], { transB: 1n }, { name });
  return `${name}.y`;
}

/** A node with one data input, named after its output. */
export function unary(
  model: ModelBuilder,
  opType: string,
  name: string,
  inputs: readonly string[],
  attributes = {},
): string {
  model.node(opType, inputs, [`${name}.y`], attributes, { name });
  return `${name}.y`;
}

/** Every kind of joint that plans meet in convolutional networks: residual sums, concatenation, depthwise, pools, products at the end. */
export function mixedNetwork(): OnnxModel {
  const model = buildModel(17);
  model.input("x", ["N", 3, 16, 16]).constant("zero", scalar(0)).constant("six", scalar(6));
  const stem = unary(model, "Relu", "stem.relu", [conv(model, "stem", "x", [16, 3, 3])]);
  const pooled = unary(model, "MaxPool", "stem.pool", [stem], { kernel_shape: [2n, 2n], strides: [2n, 2n] });
  const depthwise = conv(model, "depthwise", pooled, [16, 16, 3], { group: 16 });
  const clipped = unary(model, "Clip", "depthwise.clip", [depthwise, "zero", "six"]);
  const pointwise = conv(model, "pointwise", clipped, [16, 16, 1]);
  const sum = unary(model, "Add", "sum", [pointwise, pooled]);
  const block = unary(model, "Relu", "sum.relu", [sum]);
  const left = unary(model, "Relu", "left.relu", [conv(model, "left", block, [16, 16, 1])]);
  const right = conv(model, "right", block, [24, 16, 3], { bias: false });
  const joined = unary(model, "Concat", "join", [left, right], { axis: 1n });
  const squeezed = conv(model, "squeeze", joined, [16, 40, 1]);
  const second = unary(model, "Add", "sum2", [block, squeezed]);
  const average = unary(model, "AveragePool", "average", [second], { kernel_shape: [2n, 2n], strides: [2n, 2n] });
  const last = unary(model, "Relu", "last.relu", [conv(model, "last", average, [32, 16, 3])]);
  const global = unary(model, "GlobalAveragePool", "global", [last]);
  const flat = unary(model, "Flatten", "flat", [global]);
  const hidden = unary(model, "Relu", "hidden.relu", [gemm(model, "hidden", flat, 20, 32)]);
  gemm(model, "logits", hidden, 10, 20);
  return model.output("logits.y", ["N", 10]).build();
}

function hash(text: string): number {
  let h = 17;
  for (const letter of text) h = (Math.imul(h, 31) + letter.charCodeAt(0)) | 0;
  return h >>> 0;
}
