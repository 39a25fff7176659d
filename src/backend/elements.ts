import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import { type DataType, elementCount, type Tensor, type TensorArrays } from "../tensor.js";

/** bw_dtype of native/abi.h, with the typed array that holds the elements. */
const elements: { readonly [T in DataType]: { code: number; array: new (length: number) => TensorArrays[T] } } = {
  float32: { code: 1, array: Float32Array },
  uint8: { code: 2, array: Uint8Array },
  int8: { code: 3, array: Int8Array },
  uint16: { code: 4, array: Uint16Array },
  int16: { code: 5, array: Int16Array },
  int32: { code: 6, array: Int32Array },
  int64: { code: 7, array: BigInt64Array },
  bool: { code: 9, array: Uint8Array },
  float64: { code: 11, array: Float64Array },
};

const byCode = new Map(Object.entries(elements).map(([dtype, { code }]) => [code, dtype as DataType]));

/** The engine's code of an element type. */
export function elementCode(dtype: DataType): number {
  if (Object.hasOwn(elements, dtype)) return elements[dtype].code;
  throw new BitwrightError("invalid-data", "The engine has no such element type", {
    where: "dtype",
    expected: Object.keys(elements).join(", "),
    received: String(dtype),
  });
}

/** The element type of an engine's code. */
export function elementType(code: number): DataType {
  return byCode.get(code)!;
}

/** A tensor of zeros. */
export function emptyTensor(dtype: DataType, dims: readonly number[]): Tensor {
  return { dtype, dims, data: new elements[dtype].array(elementCount(dims)) } as Tensor;
}

/** The bytes of a typed array, shared with it. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  // Of an array whose memory went to another thread nothing can be made.
  if (byteLength === 0) return new Uint8Array(0);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** @throws BitwrightError `invalid-data` for what is no shape. */
export function checkDims(dims: readonly number[], where = "dims"): readonly number[] {
  demand("list", dims, where);
  if (dims.every((size) => Number.isSafeInteger(size) && size >= 0)) return dims;
  throw new BitwrightError("invalid-data", "The shape is not usable", {
    where,
    expected: "whole numbers, 0 or more",
    received: `[${dims.join(", ")}]`,
  });
}
