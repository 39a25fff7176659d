import { elementCount, type Tensor } from "../../src/tensor.js";

export function float32(dims: readonly number[], values: Iterable<number>): Tensor {
  return { dtype: "float32", dims, data: Float32Array.from(values) };
}

export function int64(dims: readonly number[], values: Iterable<number>): Tensor {
  return { dtype: "int64", dims, data: BigInt64Array.from(values, BigInt) };
}

export function scalar(value: number): Tensor {
  return float32([], [value]);
}

/** Uniform values in [low, high) that depend on nothing but the seed (mulberry32). */
export function randomFloats(count: number, seed: number, low = -1, high = 1): Float32Array {
  const values = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    values[i] = low + ((bits ^ (bits >>> 14)) >>> 0) * 2 ** -32 * (high - low);
  }
  return values;
}

export function randomTensor(dims: readonly number[], seed: number, low?: number, high?: number): Tensor {
  return { dtype: "float32", dims, data: randomFloats(elementCount(dims), seed, low, high) };
}
