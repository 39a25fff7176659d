import { BitwrightError } from "../errors.js";
import { typedArrays } from "../onnx/typed-arrays.js";
import type { DataType, TensorArrays } from "../tensor.js";
import { allocate } from "./files.js";
import type { RawArray } from "./npy.js";
import type { Plan } from "./preprocess.js";

export type FloatArray = Float32Array | Float64Array;

export const dataTypes = Object.keys(typedArrays) as DataType[];

export function isFloat(dtype: DataType): boolean {
  return dtype === "float32" || dtype === "float64";
}

/** A zeroed array for `length` elements of a type. */
export function newArray<T extends DataType>(dtype: T, length: number, where: string): TensorArrays[T] {
  const TypedArray = typedArrays[dtype];
  return new TypedArray(allocate(length * TypedArray.BYTES_PER_ELEMENT, where).buffer, 0, length);
}

type Arithmetic = Pick<Plan, "gather" | "affine" | "channelRun">;

/** Looks every byte up in the table of its channel. */
export function mapBytes(
  source: Uint8Array,
  target: FloatArray,
  { gather, channelRun }: Arithmetic,
  tables: readonly FloatArray[],
): void {
  for (let i = 0, c = 0; i < target.length; c = c + 1 === tables.length ? 0 : c + 1) {
    const table = tables[c]!;
    const end = Math.min(i + channelRun, target.length);
    for (; i < end; i++) target[i] = table[source[gather === undefined ? i : gather[i]!]!]!;
  }
}

/** (value * scale - mean) / std, in double. */
export function mapNumbers(source: RawArray, target: FloatArray, { gather, affine, channelRun }: Arithmetic): void {
  for (let i = 0, c = 0; i < target.length; c = c + 1 === affine.length ? 0 : c + 1) {
    const { scale, mean, std } = affine[c]!;
    const end = Math.min(i + channelRun, target.length);
    for (; i < end; i++) {
      target[i] = (Number(source[gather === undefined ? i : gather[i]!]) * scale - mean) / std;
    }
  }
}

const integerRanges: Partial<Record<DataType, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  int8: [-128, 127],
  uint8: [0, 255],
  uint16: [0, 65535],
  bool: [0, 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/** Copies whole numbers into an integer type; a value that the type does not hold exactly is an error. */
export function convertIntegers(
  source: RawArray,
  target: TensorArrays[DataType],
  gather: Uint32Array | undefined,
  dtype: DataType,
  where: string,
): void {
  const [min, max] = integerRanges[dtype]!;
  for (let i = 0; i < target.length; i++) {
    const value = Number(source[gather === undefined ? i : gather[i]!]);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new BitwrightError("invalid-data", "a value does not fit its type", {
        where,
        expected: `an integer in [${min}, ${max}] for ${dtype}`,
        received: `${value} at element ${i}`,
        remedy: 'Set "dtype" to the type that the model takes.',
      });
    }
    if (target instanceof BigInt64Array) target[i] = BigInt(value);
    else target[i] = value;
  }
}
