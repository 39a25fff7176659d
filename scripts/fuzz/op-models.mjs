// A model around every sample of the engine's op table.

import { makeTensor } from "../../dist/onnx/initializer.js";
import { buildModel, floats, int64 } from "./build-model.mjs";

/** @typedef {import("../../dist/index.js").OpInfo} OpInfo */
/** @typedef {import("../../dist/index.js").Tensor} Tensor */

/**
 * The samples of an operator as native/ops/op.h describes them. Variable inputs come out of a product with a stored weight, so that there is something
 * to differentiate and to quantize.
 * @param {OpInfo} row
 * @returns {Uint8Array[]} files; none for operators of other domains
 */
export function opModels(row) {
  return row.domain === "" ? row.samples.map((sample) => sampleModel(row, sample)) : [];
}

function sampleModel(row, sample) {
  const constants = {};
  const nodes = [];
  const names = sample.inputs.map((input, i) => {
    if (input === null) return "";
    const tensor = sampleTensor("dims" in input ? input : { dims: input });
    const name = `x${i}`;
    if (tensor.dtype !== "float32" || input.constant) {
      constants[name] = tensor;
      return name;
    }
    constants[`w${i}`] = { ...tensor, dims: [1, tensor.data.length] };
    constants[`dims${i}`] = int64([tensor.dims.length], tensor.dims);
    nodes.push(["MatMul", ["batch", `w${i}`], [`row${i}`]], ["Reshape", [`row${i}`, `dims${i}`], [name]]);
    return name;
  });
  const outputs = Array.from({ length: sample.outputs ?? 1 }, (_, i) => `y${i}`);
  const attributes = Object.entries(sample.attributes ?? {}).map(([name, value]) => [name, attribute(value)]);
  nodes.push([row.type, names, outputs, Object.fromEntries(attributes)]);
  const opset = sample.opset ?? Math.max(row.since, 17);
  return buildModel({ opset, inputs: { batch: { dims: [1, 1] } }, constants, nodes, outputs: [outputs[0]] });
}

/** @returns {Tensor} */
function sampleTensor({ dims, dtype = "float32", values, low = -1, high = 1 }) {
  const made = floats(dims, (high - low) / 2);
  if (dtype === "int64") return int64(dims, values);
  if (dtype === "int32") return { dtype, dims, data: Int32Array.from(values) };
  if (dtype !== "float32") return { dtype, dims, data: Uint8Array.from(values) };
  return { ...made, data: values ? Float32Array.from(values) : made.data.map((x) => x + (low + high) / 2) };
}

/** JSON has one kind of number: integers make ints, the rest floats, and `{ float }` says that an integer is a float. */
function attribute(value) {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === "string") return value;
  if ("float" in value) return value.float;
  if ("tensor" in value) return makeTensor("", sampleTensor(value.tensor));
  return Array.isArray(value) ? value.map(BigInt) : value;
}
