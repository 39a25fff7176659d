/** Element types that cross between data, engine and onnxruntime, with the typed array that holds each. */
export interface TensorArrays {
  float32: Float32Array;
  float64: Float64Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  /** One byte an element, 0 or 1. */
  bool: Uint8Array;
}

export type DataType = keyof TensorArrays;

/** A dense tensor in C order. `data.length` is the product of `dims`; a scalar has `dims` []. */
export type Tensor = { [T in DataType]: TensorOf<T> }[DataType];

export interface TensorOf<T extends DataType> {
  readonly dtype: T;
  readonly dims: readonly number[];
  readonly data: TensorArrays[T];
}

/** Values for a model's inputs, by input name; the first axis of each is the batch unless the model says otherwise. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Number of elements of a shape: the product of its dimensions, 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}
