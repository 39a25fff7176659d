import { type DataType, elementCount, type Tensor, type TensorArrays } from "../tensor.js";
import { newArray } from "./convert.js";
import type { Sample } from "./preprocess.js";

/** What a data set feeds to one model input. */
export interface InputInfo {
  readonly name: string;
  readonly dtype: DataType;
  /** Shape of a fed tensor; null for the samples of a batch and for axes whose length depends on the samples. */
  readonly dims: readonly (number | null)[];
  /** Axis along which samples are stacked; undefined for an input that is the same for every batch. */
  readonly batchAxis: number | undefined;
}

/** Reads samples of one input and makes batches of them. */
export interface InputReader extends InputInfo {
  /** Number of samples; undefined for an input that is the same for every batch. */
  readonly size: number | undefined;
  /** The samples at `indices`, ready for the model; nothing for an input without samples. */
  read(indices: Uint32Array): Promise<readonly Sample[]>;
  /** Lengths of samples that are not padded, of which only equal ones can be in one batch. */
  readonly unpadded?: Int32Array | undefined;
  /** Whether two samples can be in one batch. */
  fits(a: Sample, b: Sample): boolean;
  /** The fed tensor for samples of which each fits the first. */
  stack(samples: readonly Sample[]): Tensor;
  /** Every byte that the samples come from, in a fixed order, for hashing. */
  contents(): AsyncIterable<Uint8Array>;
}

export function sameShape(a: Sample, b: Sample): boolean {
  return a.dims.length === b.dims.length && a.dims.every((dim, axis) => dim === b.dims[axis]);
}

/** Samples of one shape along a new axis at `batchAxis`. */
export function stackSamples(dtype: DataType, samples: readonly Sample[], batchAxis: number, name: string): Tensor {
  const sampleDims = samples[0]!.dims;
  const outer = elementCount(sampleDims.slice(0, batchAxis));
  const inner = elementCount(sampleDims.slice(batchAxis));
  const data = newArray(dtype, samples.length * outer * inner, name);
  for (let o = 0; o < outer; o++) {
    samples.forEach((sample, i) => {
      copyInto(data, (o * samples.length + i) * inner, sample.data.subarray(o * inner, (o + 1) * inner));
    });
  }
  return tensor(dtype, sampleDims.toSpliced(batchAxis, 0, samples.length), data);
}

/** Sequences along a new first axis, each filled up with `pad` to `length` positions. */
export function stackSequences(
  dtype: DataType,
  samples: readonly Sample[],
  length: number,
  pad: number,
  name: string,
): Tensor {
  const rest = samples[0]!.dims.slice(1);
  const stride = length * elementCount(rest);
  const data = newArray(dtype, samples.length * stride, name);
  fillWith(data, pad);
  for (const [i, sample] of samples.entries()) copyInto(data, i * stride, sample.data);
  return tensor(dtype, [samples.length, length, ...rest], data);
}

export function fillWith(data: TensorArrays[DataType], value: number): void {
  if (data instanceof BigInt64Array) data.fill(BigInt(value));
  else data.fill(value);
}

/** `data` must be the array that `dtype` stands for, which the type system cannot follow through a variable. */
export function tensor(dtype: DataType, dims: readonly number[], data: TensorArrays[DataType]): Tensor {
  return { dtype, dims, data } as Tensor;
}

function copyInto(target: TensorArrays[DataType], offset: number, source: TensorArrays[DataType]): void {
  if (target instanceof BigInt64Array) target.set(source as BigInt64Array, offset);
  else target.set(source as Float32Array, offset);
}
