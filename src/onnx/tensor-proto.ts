import { BitwrightError } from "../errors.js";
import { dataTypeInfo } from "./data-types.js";
import { TensorProto_DataType as Code, type TensorProto, TensorProto_DataLocation } from "./generated/onnx_pb.js";
import { rawLength } from "./lazy-bytes.js";

/** A stored tensor's shape. Only for tensors that passed `checkTensor`. */
export function tensorDims(tensor: TensorProto): number[] {
  return tensor.dims.map(Number);
}

/** Bytes that `count` elements of `bits` bits take in `raw_data`: the last byte of packed codes is filled up. */
export function packedBytes(count: number, bits: number): number {
  return Math.ceil((count * bits) / 8);
}

/**
 * Checks that a stored tensor's data is as long as its shape and type say, so that nothing later allocates by a shape alone.
 * External data must be attached already.
 * @throws BitwrightError `invalid-model`.
 */
export function checkTensor(tensor: TensorProto, where: string): void {
  const info = dataTypeInfo(tensor.dataType);
  const fault = (summary: string, expected: string, received: string) =>
    new BitwrightError("invalid-model", summary, { where, expected, received });
  if (info === undefined) throw fault("its data type is unknown", "a TensorProto.DataType", `${tensor.dataType}`);
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    throw fault("its data is in a second file", "external data read together with the model", "a reference");
  }
  const shape = describeShape(tensor.dims);
  let count = 1n;
  for (const dim of tensor.dims) {
    if (dim < 0n) throw fault("its shape has a negative dimension", "0 or more", shape);
    count *= dim;
    if (count > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw fault("its shape is larger than any memory", "a shape that fits its data", shape);
    }
  }
  const elements = Number(count);
  const stored = rawLength(tensor);
  if (stored > 0) {
    const expected = packedBytes(elements, info.bits);
    if (info.bits === 0) throw fault("strings cannot be raw data", "string_data", `${stored} raw bytes`);
    if (stored !== expected) {
      throw fault("its data does not fit its shape", `${expected} bytes for ${info.name} ${shape}`, `${stored}`);
    }
    return;
  }
  const { field, length } = typedField(tensor, elements);
  if (field.length !== length) {
    throw fault(
      "its data does not fit its shape",
      `${length} stored values for ${info.name} ${shape}`,
      `${field.length}`,
    );
  }
}

/** A shape for messages: `[2, 3]`; long ones are cut. */
export function describeShape(dims: readonly (number | bigint)[]): string {
  const shown = dims.slice(0, 8).join(", ");
  return dims.length > 8 ? `[${shown}, ... ${dims.length - 8} more]` : `[${shown}]`;
}

/** The typed field that holds a tensor's values when `raw_data` does not, and how long it has to be. */
export function typedField(tensor: TensorProto, elements: number): { field: ArrayLike<unknown>; length: number } {
  switch (tensor.dataType) {
    case Code.FLOAT:
      return { field: tensor.floatData, length: elements };
    case Code.COMPLEX64:
      return { field: tensor.floatData, length: 2 * elements };
    case Code.DOUBLE:
      return { field: tensor.doubleData, length: elements };
    case Code.COMPLEX128:
      return { field: tensor.doubleData, length: 2 * elements };
    case Code.INT64:
      return { field: tensor.int64Data, length: elements };
    case Code.UINT32:
    case Code.UINT64:
      return { field: tensor.uint64Data, length: elements };
    case Code.STRING:
      return { field: tensor.stringData, length: elements };
    default: {
      // Narrow types take one int32 each; codes below a byte take one int32 for each packed byte.
      const bits = dataTypeInfo(tensor.dataType)?.bits ?? 8;
      return { field: tensor.int32Data, length: bits < 8 ? packedBytes(elements, bits) : elements };
    }
  }
}
