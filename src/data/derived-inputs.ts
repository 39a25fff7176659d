import { type DataType, elementCount, type Tensor, type TensorArrays } from "../tensor.js";
import { convertIntegers, isFloat, newArray } from "./convert.js";
import type { SequenceReader } from "./file-input.js";
import { fillWith, type InputReader, stackSequences, tensor } from "./input.js";
import type { ConstantSpec, DerivedSpec } from "./parse-manifest.js";

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** 1 for the positions of each sequence, 0 behind its end. */
export function maskInput(name: string, { dtype }: DerivedSpec, of: SequenceReader): InputReader {
  return besides(name, dtype ?? of.dtype, of, (data) => fillWith(data, 1));
}

/** Which of two texts each token is of, 0 behind the end. */
export function typesInput(name: string, { dtype, at }: DerivedSpec, of: SequenceReader): InputReader {
  const { types } = of;
  if (types === undefined) return at.at("typesOf").fail("an input of texts");
  return besides(name, dtype ?? of.dtype, of, (data, index) => {
    for (const [i, type] of types[index]!.entries()) data[i] = data instanceof BigInt64Array ? BigInt(type) : type;
  });
}

/** An input with a value for each position of another. */
function besides(
  name: string,
  dtype: DataType,
  of: SequenceReader,
  fill: (data: TensorArrays[DataType], index: number) => void,
): InputReader {
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
        fill(data, index);
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
  // What the manifest says is hashed with it.
  return fedAlways(name, tensor(dtype, dims, data), nothing);
}

/** An input that is one tensor for any samples. */
export function fedAlways(name: string, value: Tensor, contents: InputReader["contents"]): InputReader {
  const { dtype, dims } = value;
  return {
    name,
    dtype,
    batchAxis: undefined,
    dims,
    size: undefined,
    read: async () => [],
    fits: () => true,
    stack: () => value,
    contents,
  };
}
