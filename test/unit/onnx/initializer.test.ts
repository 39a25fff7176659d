import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  TensorProto_DataType as Code,
  type TensorProto,
  TensorProtoSchema,
} from "../../../src/onnx/generated/onnx_pb.js";
import { int64Vector, makeTensor, readTensor } from "../../../src/onnx/initializer.js";
import { packCodes, unpackCodes } from "../../../src/onnx/packed-codes.js";
import { buildModel, valueInfo } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, int64 } from "../../support/tensors.js";

function tensorProto(init: Partial<Omit<TensorProto, "$typeName" | "$unknown">>): TensorProto {
  return create(TensorProtoSchema, { name: "t", ...init });
}

/** What onnxruntime makes of a stored tensor that it casts to float32. */
async function castByOnnxruntime(proto: TensorProto) {
  const model = buildModel(21).constant("t", proto);
  model.node("Cast", ["t"], ["y"], { to: BigInt(Code.FLOAT) }).output("y");
  const { y } = await runOnnx(model.bytes(), {});
  return y!;
}

describe("readTensor", () => {
  it("reads raw and typed fields alike", () => {
    const raw = makeTensor("t", float32([2, 2], [1, -2, 3.5, Number.NaN]));
    const typed = tensorProto({ dataType: Code.FLOAT, dims: [2n, 2n], floatData: [1, -2, 3.5, Number.NaN] });
    expect(readTensor(raw)).toEqual(readTensor(typed));
    expect(readTensor(tensorProto({ dataType: Code.INT64, dims: [2n], int64Data: [1n, -(2n ** 62n)] })).data).toEqual(
      BigInt64Array.from([1n, -(2n ** 62n)]),
    );
    expect(readTensor(tensorProto({ dataType: Code.INT8, dims: [3n], int32Data: [-128, 0, 127] })).data).toEqual(
      Int8Array.from([-128, 0, 127]),
    );
    expect(readTensor(tensorProto({ dataType: Code.BOOL, dims: [2n], int32Data: [1, 0] }))).toEqual({
      dtype: "bool",
      dims: [2],
      data: Uint8Array.from([1, 0]),
    });
  });

  it("views aligned data and copies the rest", () => {
    const file = new Uint8Array(64);
    new DataView(file.buffer).setFloat32(8, 1.5, true);
    new DataView(file.buffer).setFloat32(33, 2.5, true);
    const aligned = readTensor(tensorProto({ dataType: Code.FLOAT, dims: [1n], rawData: file.subarray(8, 12) }));
    const crooked = readTensor(tensorProto({ dataType: Code.FLOAT, dims: [1n], rawData: file.subarray(33, 37) }));
    expect([aligned.data[0], crooked.data[0]]).toEqual([1.5, 2.5]);
    expect(aligned.data.buffer).toBe(file.buffer);
    expect(crooked.data.buffer).not.toBe(file.buffer);
    // A Buffer's slice is a view, unlike that of other byte arrays.
    const buffer = Buffer.from(file.buffer, 33, 4);
    expect(readTensor(tensorProto({ dataType: Code.FLOAT, dims: [1n], rawData: buffer })).data[0]).toBe(2.5);
  });

  it.each([Code.FLOAT16, Code.BFLOAT16])("widens all 65536 values of type %i as onnxruntime does", async (dataType) => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const proto = tensorProto({ dataType, dims: [65536n], rawData: new Uint8Array(bits.buffer) });
    const ours = readTensor(proto);
    expect(ours.dtype).toBe("float32");
    expect(ours.data).toEqual((await castByOnnxruntime(proto)).data);
    const typed = tensorProto({ dataType, dims: [65536n], int32Data: [...bits] });
    expect(readTensor(typed).data).toEqual(ours.data);
  });

  it.each([Code.INT4, Code.UINT4])("unpacks the codes of type %i as onnxruntime does", async (dataType) => {
    const rawData = Uint8Array.from({ length: 256 }, (_, i) => i);
    const proto = tensorProto({ dataType, dims: [511n], rawData });
    const floats = await castByOnnxruntime(proto);
    expect(Array.from(readTensor(proto).data as Int8Array)).toEqual(Array.from(floats.data as Float32Array));
  });

  it("reads empty tensors and scalars", () => {
    expect(readTensor(tensorProto({ dataType: Code.FLOAT, dims: [0n, 4n] })).data.length).toBe(0);
    expect(readTensor(tensorProto({ dataType: Code.FLOAT, floatData: [3] })).dims).toEqual([]);
  });

  it("refuses types that have no typed array here", () => {
    for (const dataType of [Code.STRING, Code.COMPLEX64, Code.UINT64, Code.FLOAT8E4M3FN]) {
      expect(() => readTensor(tensorProto({ dataType, dims: [0n] }))).toThrowError(/not supported/);
    }
  });
});

describe("makeTensor", () => {
  it("stores every element type so that it reads back", () => {
    const tensors = [
      float32([3], [1, 2, 3]),
      int64([2], [5, -5]),
      { dtype: "bool", dims: [1], data: Uint8Array.of(1) } as const,
      { dtype: "uint16", dims: [2], data: Uint16Array.of(0, 65535) } as const,
      { dtype: "float64", dims: [], data: Float64Array.of(0.1) } as const,
    ];
    for (const tensor of tensors) expect(readTensor(makeTensor("t", tensor))).toEqual(tensor);
  });

  it("refers to the tensor's memory, part of a larger buffer included", () => {
    const buffer = Float32Array.of(0, 1, 2, 3);
    const proto = makeTensor("t", { dtype: "float32", dims: [2], data: buffer.subarray(1, 3) });
    expect(proto.rawData.buffer).toBe(buffer.buffer);
    expect([...(readTensor(proto).data as Float32Array)]).toEqual([1, 2]);
  });

  it("packs 4-bit codes so that onnxruntime reads them", async () => {
    const codes = Int8Array.from({ length: 15 }, (_, i) => i - 8);
    const proto = makeTensor("t", { dtype: "int8", dims: [15], data: codes }, Code.INT4);
    expect(proto.rawData.length).toBe(8);
    expect([...((await castByOnnxruntime(proto)).data as Float32Array)]).toEqual([...codes]);
  });
});

describe("packCodes", () => {
  it.each([
    [2, true],
    [2, false],
    [4, true],
    [4, false],
  ] as const)("is undone by unpackCodes: %i bits, signed %s", (bits, signed) => {
    const low = signed ? -(1 << (bits - 1)) : 0;
    const codes = Array.from({ length: (1 << bits) * 2 + 3 }, (_, i) => low + (i % (1 << bits)));
    const typed = signed ? Int8Array.from(codes) : Uint8Array.from(codes);
    expect(unpackCodes(packCodes(typed, bits), bits, signed, codes.length)).toEqual(typed);
  });

  it("refuses codes that do not fit", () => {
    expect(() => packCodes(Int8Array.of(8), 4)).toThrowError(/does not fit/);
    expect(() => packCodes(Uint8Array.of(16), 4)).toThrowError(/does not fit/);
  });
});

it("int64Vector makes shapes", () => {
  expect(int64Vector([1, -1])).toEqual(int64([2], [1, -1]));
  expect(valueInfo("x", [1], "int64").name).toBe("x");
});
