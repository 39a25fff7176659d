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
  return elements[dtype].code;
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
  return new Uint8Array(buffer, byteOffset, byteLength);
}
