import { BitwrightError } from "../errors.js";
import type { DataType, TensorArrays } from "../tensor.js";
import type { RawArray } from "./npy.js";
import type { Plan } from "./preprocess.js";

export type FloatArray = Float32Array | Float64Array;

const constructors = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  bool: Uint8Array,
} as const satisfies Record<DataType, unknown>;

export const dataTypes = Object.keys(constructors) as DataType[];

export function isFloat(dtype: DataType): boolean {
  return dtype === "float32" || dtype === "float64";
}

/** A zeroed array for `length` elements of a type. */
export function newArray<T extends DataType>(dtype: T, length: number, where: string): TensorArrays[T] {
  try {
    return new constructors[dtype](length) as TensorArrays[T];
  } catch (cause) {
    throw new BitwrightError("out-of-memory", `an array of ${length} elements cannot be allocated`, { where, cause });
  }
}

/** Bytes take only 256 values, so each channel's arithmetic is done once, into a table. */
export function byteTables(affine: Plan["affine"]): Float64Array[] {
  return affine.map(({ scale, mean, std }) =>
    Float64Array.from({ length: 256 }, (_, byte) => (byte * scale - mean) / std),
  );
}

export function mapBytes(source: Uint8Array, target: FloatArray, { gather, channelRun }: Plan, tables: Float64Array[]) {
  for (let i = 0, c = 0; i < target.length; c = c + 1 === tables.length ? 0 : c + 1) {
    const table = tables[c]!;
    const end = Math.min(i + channelRun, target.length);
    for (; i < end; i++) target[i] = table[source[gather === undefined ? i : gather[i]!]!]!;
  }
}

export function mapNumbers(source: RawArray, target: FloatArray, { gather, affine, channelRun }: Plan): void {
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
