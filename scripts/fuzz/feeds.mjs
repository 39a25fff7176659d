// Values for the inputs that a model declares, whatever it declares.

import { tensor } from "../../dist/data/input.js";
import { dataTypeInfo } from "../../dist/onnx/data-types.js";
import { typedArrays } from "../../dist/onnx/typed-arrays.js";

/** @typedef {import("../../dist/index.js").OnnxModel} OnnxModel */
/** @typedef {import("../../dist/index.js").Feeds} Feeds */
/** @typedef {import("./choices.mjs").Choices} Choices */

const largest = 1 << 18;

/**
 * @param {OnnxModel} model
 * @param {Choices} random
 * @param {number} samples size of a first dimension that is open
 * @param {boolean} hostile whether some inputs hold values that code trips over
 * @returns {Feeds} with sizes cut to what a test can hold
 */
export function randomFeeds({ graph }, random, samples, hostile) {
  const stored = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !stored.has(name));
  return Object.fromEntries(inputs.map(({ name, type }) => [name, feed(type, random, samples, hostile)]));
}

function feed(type, random, samples, hostile) {
  const { elemType = 1, shape } = type?.value.case === "tensorType" ? type.value.value : {};
  let count = 1;
  const dims = (shape?.dim ?? []).map(({ value }, axis) => {
    const open = axis === 0 ? samples : 6;
    const size = value.case === "dimValue" && value.value >= 0n ? Number(value.value) : open;
    const kept = count * size <= largest ? size : 1;
    count *= Math.max(kept, 1);
    return kept;
  });
  const dtype = dataTypeInfo(elemType)?.holder ?? "float32";
  const length = dims.reduce((product, dim) => product * dim, 1);
  const wild = random.chance(0.05) && hostile;
  const element = () => (wild ? random.hostileFloat() : random.normal());
  const integer = () => (wild ? random.hostileInteger() : BigInt(random.below(2)));
  const data = new typedArrays[dtype](new ArrayBuffer(length * typedArrays[dtype].BYTES_PER_ELEMENT), 0, length);
  for (let i = 0; i < length; i++) {
    if (dtype === "int64") data[i] = integer();
    else data[i] = dtype.startsWith("float") ? element() : Number(BigInt.asIntN(31, integer()));
  }
  return tensor(dtype, dims, data);
}
