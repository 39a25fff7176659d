import type { DataType } from "../tensor.js";
import { TensorProto_DataType as Code } from "./generated/onnx_pb.js";

/** What a TensorProto.DataType code means. */
export interface DataTypeInfo {
  readonly code: number;
  readonly name: string;
  /** Bits an element takes in `raw_data`; 0 for strings, which have no fixed size. */
  readonly bits: number;
  /** The element type that holds its values here: float16 widens to float32, 4-bit codes to bytes. Absent when there is none. */
  readonly holder?: DataType;
}

function row(code: Code, bits: number, holder?: DataType): DataTypeInfo {
  const name = Code[code].toLowerCase();
  return holder === undefined ? { code, name, bits } : { code, name, bits, holder };
}

const table: readonly DataTypeInfo[] = [
  row(Code.FLOAT, 32, "float32"),
  row(Code.UINT8, 8, "uint8"),
  row(Code.INT8, 8, "int8"),
  row(Code.UINT16, 16, "uint16"),
  row(Code.INT16, 16, "int16"),
  row(Code.INT32, 32, "int32"),
  row(Code.INT64, 64, "int64"),
  row(Code.STRING, 0),
  row(Code.BOOL, 8, "bool"),
  row(Code.FLOAT16, 16, "float32"),
  row(Code.DOUBLE, 64, "float64"),
  row(Code.UINT32, 32),
  row(Code.UINT64, 64),
  row(Code.COMPLEX64, 64),
  row(Code.COMPLEX128, 128),
  row(Code.BFLOAT16, 16, "float32"),
  row(Code.FLOAT8E4M3FN, 8),
  row(Code.FLOAT8E4M3FNUZ, 8),
  row(Code.FLOAT8E5M2, 8),
  row(Code.FLOAT8E5M2FNUZ, 8),
  row(Code.UINT4, 4, "uint8"),
  row(Code.INT4, 4, "int8"),
  row(Code.FLOAT4E2M1, 4),
  row(Code.FLOAT8E8M0, 8),
  row(Code.UINT2, 2, "uint8"),
  row(Code.INT2, 2, "int8"),
];

const byCode = new Map(table.map((info) => [info.code, info]));

/** The row of a TensorProto.DataType code; undefined for a code this version does not know. */
export function dataTypeInfo(code: number): DataTypeInfo | undefined {
  return byCode.get(code);
}

/** A data type's name for messages: `float16`, or `data type 99` when unknown. */
export function dataTypeName(code: number): string {
  return byCode.get(code)?.name ?? `data type ${code}`;
}

const codes: Readonly<Record<DataType, number>> = {
  float32: Code.FLOAT,
  float64: Code.DOUBLE,
  int64: Code.INT64,
  int32: Code.INT32,
  int16: Code.INT16,
  int8: Code.INT8,
  uint8: Code.UINT8,
  uint16: Code.UINT16,
  bool: Code.BOOL,
};

/** The TensorProto.DataType code that stores an element type as it is. */
export function dataTypeCode(dtype: DataType): number {
  return codes[dtype];
}

/** The element type that holds a data type's values as they are; undefined for those that widen or have none. */
export function exactHolder(code: number): DataType | undefined {
  const holder = byCode.get(code)?.holder;
  return holder !== undefined && codes[holder] === code ? holder : undefined;
}
