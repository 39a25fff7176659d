import { create } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import { type DataType, elementCount, type Tensor, type TensorArrays } from "../tensor.js";
import { dataTypeCode, dataTypeInfo, dataTypeName, exactHolder } from "./data-types.js";
import { TensorProto_DataType as Code, type TensorProto, TensorProtoSchema } from "./generated/onnx_pb.js";
import { widenBfloat16, widenFloat16 } from "./half.js";
import { computedBytes, lazyBytesOf, lazyFrom, setLazyBytes } from "./lazy-bytes.js";
import { type PackedBits, packCodes, unpackCodes } from "./packed-codes.js";
import { packedBytes, tensorDims } from "./tensor-proto.js";
import { typedArrays } from "./typed-arrays.js";

/**
 * A stored tensor as values. float16 and bfloat16 widen to float32, 4-bit and 2-bit codes unpack to int8 or uint8. The data
 * stays a view of the file's bytes where their alignment allows: do not write into it. Of a tensor that is not held in memory it is read each time it is asked
 * for.
 * @throws BitwrightError `unsupported-op` for strings, complex, 8-bit floats and unsigned 32 and 64-bit integers.
 */
export function readTensor(proto: TensorProto): Tensor {
  const holder = dataTypeInfo(proto.dataType)?.holder;
  if (holder === undefined) {
    throw new BitwrightError("unsupported-op", "the tensor's element type is not supported", {
      where: `tensor "${proto.name}"`,
      expected: "float, float16, bfloat16, double, bool, an integer of up to 32 bits with sign, or int64",
      received: dataTypeName(proto.dataType),
    });
  }
  const dims = tensorDims(proto);
  const read = () => readValues(proto, elementCount(dims));
  return (
    lazyBytesOf(proto) === undefined ? { dtype: holder, dims, data: read() } : lazyTensor(holder, dims, read)
  ) as Tensor;
}

/** A tensor whose elements are read, or made, each time they are asked for. */
function lazyTensor(dtype: DataType, dims: readonly number[], read: () => Tensor["data"]): Tensor {
  return {
    dtype,
    dims,
    get data() {
      return read();
    },
  } as Tensor;
}

function readValues(proto: TensorProto, count: number): Tensor["data"] {
  switch (proto.dataType) {
    case Code.FLOAT:
      return rawValues(proto, "float32", count) ?? Float32Array.from(proto.floatData);
    case Code.DOUBLE:
      return rawValues(proto, "float64", count) ?? Float64Array.from(proto.doubleData);
    case Code.INT64:
      return rawValues(proto, "int64", count) ?? BigInt64Array.from(proto.int64Data);
    case Code.FLOAT16:
      return widenFloat16(rawValues(proto, "uint16", count) ?? Uint16Array.from(proto.int32Data));
    case Code.BFLOAT16:
      return widenBfloat16(rawValues(proto, "uint16", count) ?? Uint16Array.from(proto.int32Data));
    case Code.INT4:
    case Code.UINT4:
      return unpackCodes(packedBytesOf(proto), 4, proto.dataType === Code.INT4, count);
    case Code.INT2:
    case Code.UINT2:
      return unpackCodes(packedBytesOf(proto), 2, proto.dataType === Code.INT2, count);
    default: {
      const holder = dataTypeInfo(proto.dataType)!.holder!;
      return rawValues(proto, holder, count) ?? typedArrays[holder].from(proto.int32Data);
    }
  }
}

function packedBytesOf(proto: TensorProto): Uint8Array {
  return proto.rawData.length > 0 ? proto.rawData : Uint8Array.from(proto.int32Data);
}

/** `raw_data` as a typed array: a view, or a copy when its place in the file is not aligned for one. */
function rawValues<T extends DataType>(proto: TensorProto, dtype: T, count: number): TensorArrays[T] | undefined {
  const raw = proto.rawData;
  if (raw.length === 0) return undefined;
  const TypedArray = typedArrays[dtype];
  const aligned = raw.byteOffset % TypedArray.BYTES_PER_ELEMENT === 0 ? raw : new Uint8Array(raw);
  return new TypedArray(aligned.buffer, aligned.byteOffset, count);
}

const packedTypes: ReadonlyMap<number, PackedBits> = new Map([
  [Code.INT4, 4],
  [Code.UINT4, 4],
  [Code.INT2, 2],
  [Code.UINT2, 2],
]);

/**
 * Stores a tensor under a name, as raw data that refers to the tensor's own memory.
 * @param dataType - TensorProto.DataType to store as: the tensor's own type, or INT4, UINT4, INT2, UINT2 for int8 or uint8
 *   codes, which are then packed.
 */
export function makeTensor(name: string, tensor: Tensor, dataType: number = dataTypeCode(tensor.dtype)): TensorProto {
  const bits = packedTypes.get(dataType);
  const rawData =
    bits === undefined
      ? new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)
      : packCodes(tensor.data as Int8Array | Uint8Array, bits);
  return create(TensorProtoSchema, { name, dataType, dims: tensor.dims.map(BigInt), rawData });
}

/** A stored tensor as values when reading does not change its type: not for float16, packed codes and types without a holder. */
export function readExactTensor(proto: TensorProto): Tensor | undefined {
  return exactHolder(proto.dataType) === undefined ? undefined : readTensor(proto);
}

/**
 * Stores a tensor under a name, made when its data is asked for: a model can be larger than memory, and its size costs nothing to know.
 * @param dataType - As for {@link makeTensor}.
 * @param make - Gives the tensor of these dimensions; called each time the data of a large one is asked for, once for a small one.
 */
export function makeLazyTensor(
  name: string,
  dims: readonly number[],
  dataType: number,
  make: () => Tensor,
): TensorProto {
  const length = packedBytes(elementCount(dims), dataTypeInfo(dataType)!.bits);
  const proto = create(TensorProtoSchema, { name, dataType, dims: dims.map(BigInt) });
  const bytes = () => makeTensor(name, make(), dataType).rawData;
  setLazyBytes(proto, computedBytes(length, length < lazyFrom ? once(bytes) : bytes));
  return proto;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** A one-dimensional int64 tensor, as shapes, axes and pads are stored. */
export function int64Vector(values: readonly (number | bigint)[]): Tensor {
  return { dtype: "int64", dims: [values.length], data: BigInt64Array.from(values, BigInt) };
}

/** A float32 tensor of rank 0. */
export function scalarTensor(value: number): Tensor {
  return { dtype: "float32", dims: [], data: Float32Array.of(value) };
}
