import type { Message } from "@bufbuild/protobuf";
import type { TensorProto } from "./generated/onnx_pb.js";
import { lazyBytesOf, setLazyBytes } from "./lazy-bytes.js";

/**
 * A copy of a message that can be edited without touching the original. Bytes are shared, not copied: nothing in bitwright
 * writes into a tensor's data, and weights are large.
 */
export function cloneMessage<T extends Message>(message: T): T {
  return cloneValue(message);
}

function cloneValue<T>(value: T): T {
  if (Array.isArray(value)) return value.map(cloneValue) as T;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  // The prototype carries the defaults of proto2 fields that are not set.
  const copy = Object.create(Object.getPrototypeOf(value));
  const source = lazyBytesOf(value as unknown as TensorProto);
  for (const key of Object.keys(value)) {
    if (source !== undefined && key === "rawData") setLazyBytes(copy, source);
    else copy[key] = key === "$unknown" ? value[key as keyof T] : cloneValue(value[key as keyof T]);
  }
  return copy;
}
