import type { DataType, TensorArrays } from "../tensor.js";

export interface TypedArrayConstructor<A> {
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
  from(values: ArrayLike<unknown>): A;
}

/** The typed array of each element type. */
export const typedArrays: { readonly [T in DataType]: TypedArrayConstructor<TensorArrays[T]> } = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  bool: Uint8Array,
};
