import type { TensorProto } from "./generated/onnx_pb.js";

/** Bytes that are read, or made, when they are asked for, so that the weights of a large model are not all in memory at once. */
export interface LazyBytes {
  readonly length: number;
  /** Those from `begin` to before `end`; all of them by default. Not to be written into. */
  read(begin?: number, end?: number): Uint8Array;
}

/** From this size on, tensor data is worth the trouble; what is smaller is held. */
export const lazyFrom = 1 << 20;

const sources = new WeakMap<TensorProto, LazyBytes>();

/** Gives a tensor raw data that is read each time `rawData` is asked for. Whatever replaces `rawData` ends that. */
export function setLazyBytes(tensor: TensorProto, source: LazyBytes): void {
  sources.set(tensor, source);
  Object.defineProperty(tensor, "rawData", {
    configurable: true,
    enumerable: true,
    get: () => source.read(),
    set(value: Uint8Array) {
      sources.delete(tensor);
      Object.defineProperty(tensor, "rawData", { configurable: true, enumerable: true, writable: true, value });
    },
  });
}

/** Where a tensor's raw data comes from; undefined for one that is held in memory. */
export function lazyBytesOf(tensor: TensorProto): LazyBytes | undefined {
  return sources.get(tensor);
}

/** Length of a tensor's raw data, without reading it. */
export function rawLength(tensor: TensorProto): number {
  return (sources.get(tensor) ?? tensor.rawData).length;
}

/** A tensor's raw data in blocks of at most so many bytes, read one after another; at least one. */
export function* rawBlocks(tensor: TensorProto, size: number): Generator<Uint8Array> {
  const source = sources.get(tensor);
  const length = rawLength(tensor);
  let begin = 0;
  do {
    const end = Math.min(length, begin + size);
    yield source === undefined ? tensor.rawData.subarray(begin, end) : source.read(begin, end);
    begin = end;
  } while (begin < length);
}

/** Bytes that are made when asked for, as those of a quantized weight. */
export function computedBytes(length: number, make: () => Uint8Array): LazyBytes {
  return { length, read: (begin = 0, end = length) => make().subarray(begin, end) };
}
