// Damage to stored tensors: their shapes, types and values.

import { dataTypeInfo } from "../../dist/onnx/data-types.js";

/** @typedef {import("./choices.mjs").Choices} Choices */
/** @typedef {import("../../dist/onnx/generated/onnx_pb.js").TensorProto} TensorProto */

/**
 * @param {TensorProto} tensor
 * @param {Choices} random
 * @returns {string} what was done
 */
export function mutateTensor(tensor, random) {
  const what = random.pick([changeValues, changeValues, changeDims, reshape, changeType, cutData])(tensor, random);
  return `tensor ${tensor.name}: ${what}`;
}

/** @type {(tensor: TensorProto, random: Choices) => string} */
function changeValues(tensor, random) {
  const bytes = dataTypeInfo(tensor.dataType)?.bits / 8;
  const count = Math.floor(tensor.rawData.length / bytes);
  if (!(count > 0)) return changeDims(tensor, random);
  const data = Buffer.from(tensor.rawData);
  const real = tensor.dataType === 1;
  const value = real ? random.hostileFloat() : random.hostileInteger();
  const at = random.chance(0.2) ? undefined : random.below(count);
  for (let i = at ?? 0; i <= (at ?? count - 1); i++) {
    if (real) data.writeFloatLE(value, i * bytes);
    else if (bytes === 8) data.writeBigInt64LE(value, i * bytes);
    else data.writeUIntLE(Number(BigInt.asUintN(8 * bytes, value)), i * bytes, bytes);
  }
  tensor.rawData = data;
  return `${at === undefined ? "all elements" : `element ${at}`} ${value}`;
}

/** @type {(tensor: TensorProto, random: Choices) => string} */
function changeDims(tensor, random) {
  const at = random.below(tensor.dims.length + 1);
  const dim = random.hostileInteger();
  if (at === tensor.dims.length || random.chance(0.2)) tensor.dims.splice(at, random.below(2), dim);
  else tensor.dims[at] = dim;
  return `dims ${tensor.dims}`;
}

/** Another shape with data that fits it. @type {(tensor: TensorProto, random: Choices) => string} */
function reshape(tensor, random) {
  const bytes = Math.ceil((dataTypeInfo(tensor.dataType)?.bits ?? 32) / 8);
  const dims = random.chance(0.5)
    ? tensor.dims.map((dim) => (random.chance(0.3) ? BigInt(random.below(5)) : dim))
    : random.chance(0.5)
      ? [...tensor.dims].reverse()
      : Array.from({ length: random.below(random.chance(0.1) ? 40 : 6) }, () => BigInt(random.below(4)));
  const count = Number(dims.reduce((product, dim) => product * dim, 1n));
  if (!(count >= 0 && count < 1e6)) return changeDims(tensor, random);
  const old = tensor.rawData;
  tensor.dims = dims;
  tensor.rawData = Uint8Array.from({ length: count * bytes }, (_, i) => (old.length > 0 ? old[i % old.length] : 0));
  return `reshaped to ${dims}`;
}

/** @type {(tensor: TensorProto, random: Choices) => string} */
function changeType(tensor, random) {
  const count = tensor.rawData.length / ((dataTypeInfo(tensor.dataType)?.bits ?? 32) / 8);
  tensor.dataType = random.pick([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 21, 22, 0, 99]);
  const bits = dataTypeInfo(tensor.dataType)?.bits;
  if (bits === undefined || random.chance(0.2) || !Number.isInteger(count)) return `type ${tensor.dataType}`;
  const old = tensor.rawData;
  tensor.rawData = Uint8Array.from({ length: Math.ceil((count * bits) / 8) }, (_, i) => old[i % old.length] ?? 0);
  return `type ${tensor.dataType} with data that fits`;
}

/** @type {(tensor: TensorProto, random: Choices) => string} */
function cutData(tensor, random) {
  tensor.rawData = tensor.rawData.subarray(0, random.place(tensor.rawData.length + 1));
  return `data of ${tensor.rawData.length} bytes`;
}
