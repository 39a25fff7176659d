import { elementCount } from "../tensor.js";
import { convertIntegers, isFloat, newArray } from "./convert.js";
import type { SequenceReader } from "./file-input.js";
import { fillWith, type InputReader, stackSequences, tensor } from "./input.js";
import type { ConstantSpec, MaskSpec } from "./parse-manifest.js";

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** 1 for the positions of each sequence, 0 behind its end. */
export function maskInput(name: string, spec: MaskSpec, of: SequenceReader): InputReader {
  const dtype = spec.dtype ?? of.dtype;
  return {
    name,
    dtype,
    batchAxis: 0,
    dims: of.dims.slice(0, 2),
    size: of.lengths.length,
    read: async (indices) =>
      Array.from(indices, (index) => {
        const length = of.lengths[index]!;
        const data = newArray(dtype, length, name);
        fillWith(data, 1);
        return { dims: [length], data };
      }),
    fits: () => true,
    stack: (samples) => stackSequences(dtype, samples, of.width(samples.map(({ dims }) => dims[0]!)), 0, name),
    contents: nothing,
  };
}

export function constantInput(name: string, { values, dims, dtype, at }: ConstantSpec): InputReader {
  const where = `${at.document}, ${at.path}`;
  const data = newArray(dtype, elementCount(dims), where);
  const all = values.length === data.length ? values : new Array<number>(data.length).fill(values[0]!);
  if (isFloat(dtype)) (data as Float32Array).set(all);
  else convertIntegers(Float64Array.from(all), data, undefined, dtype, where);
  const value = tensor(dtype, dims, data);
  return {
    name,
    dtype,
    batchAxis: undefined,
    dims,
    size: undefined,
    read: async () => [],
    fits: () => true,
    stack: () => value,
    contents: nothing,
  };
}
