import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { openArray } from "../../../src/data/array-source.js";
import { memoryFiles } from "../../../src/data/files.js";
import { openNpy } from "../../../src/data/npy.js";
import { npyBytes, npyWithHeader } from "./npy-bytes.js";

const open = (bytes: Uint8Array) => openNpy(() => memoryFiles({ f: bytes }).open("f"), "f.npy");

describe("npy", () => {
  it("reads rows in any order, also when they repeat", async () => {
    const array = await open(npyBytes("<i4", [4, 2], Int32Array.of(0, 1, 10, 11, 20, 21, 30, 31)));
    expect(array.dims).toEqual([4, 2]);
    expect(await array.read([3, 0, 1, 1], 0)).toEqual(Int32Array.of(30, 31, 0, 1, 10, 11, 10, 11));
  });

  it("reads slices of a later axis", async () => {
    const array = await open(
      npyBytes(
        "<u2",
        [2, 3, 2],
        Uint16Array.from({ length: 12 }, (_, i) => i),
      ),
    );
    expect(await array.read([2, 0], 1)).toEqual(Uint16Array.of(4, 5, 10, 11, 0, 1, 6, 7));
  });

  it.each([
    ["|b1", Uint8Array.of(0, 1)],
    ["|i1", Int8Array.of(-1, 5)],
    ["<u4", Uint32Array.of(1, 4294967295)],
    ["<i8", BigInt64Array.of(-1n, 2n ** 60n)],
    ["<u8", BigUint64Array.of(1n, 2n ** 63n)],
    ["<f4", Float32Array.of(0.5, -3)],
    ["<f8", Float64Array.of(0.1, 1e300)],
  ])("keeps the values of %s", async (type, data) => {
    expect(await (await open(npyBytes(type, [2], data))).read([0, 1], 0)).toEqual(data);
  });

  it("decodes half precision exactly", async () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x3555, 0x8000, 0x7c00);
    const values = await (await open(npyBytes("<f2", [7], bits))).read([0, 1, 2, 3, 4, 5, 6], 0);
    expect([...values]).toEqual([1, -2, 2 ** -24, 65504, 0.333251953125, -0, Number.POSITIVE_INFINITY]);
  });

  it.each([
    ["another file", new Uint8Array(200), /not a \.npy file/],
    ["an empty file", new Uint8Array(), /not a \.npy file/],
    ["a truncated file", npyBytes("<f4", [4], new Float32Array(3)), /truncated; expected 144 bytes; received 140/],
    ["a header cut off", npyBytes("<f4", [4], new Float32Array(4)).subarray(0, 40), /damaged \.npy header/],
    ["big-endian data", npyBytes(">f4", [1], new Float32Array(1)), /big-endian .* array\.astype\("<f4"\)/],
    ["column order", npyBytes("<f4", [2, 2], new Float32Array(4), true), /ascontiguousarray/],
    ["complex numbers", npyBytes("<c8", [1], new Float64Array(1)), /unsupported element type/],
    ["no elements", npyBytes("<f4", [0, 3], new Float32Array(0)), /one element or more/],
    ["an absurd shape", npyBytes("<f4", [2 ** 40, 2 ** 40], new Float32Array(1)), /unusable shape/],
    ["a record type", npyWithHeader("{'descr': [('x', '<f4')], 'shape': (1,)}", new Float32Array(1)), /unreadable/],
  ])("refuses %s", async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toMatchObject({ code: "invalid-data", where: "f.npy" });
    await expect(open(bytes)).rejects.toThrow(message);
  });
});

describe("npz", () => {
  const archive = zipSync({
    "x.npy": npyBytes("<i2", [2], Int16Array.of(7, 8)),
    "y.npy": npyBytes("<f4", [1], Float32Array.of(1)),
  });

  it("reads one member", async () => {
    const source = await openArray(memoryFiles({ "d.npz": archive }), "d.npz#x", 0);
    expect((await source.read(Uint32Array.of(1)))[0]?.data).toEqual(Int16Array.of(8));
  });

  it.each([
    ["d.npz", archive, /which array .* "data\.npz#images"/],
    ["d.npz#z", archive, /no such array in the archive; expected one of x, y; received z/],
    ["d.npz#x", archive.subarray(0, 60), /not a readable \.npz/],
  ])("explains what is wrong with %s", async (reference, bytes, message) => {
    await expect(openArray(memoryFiles({ "d.npz": bytes }), reference, 0)).rejects.toThrow(message);
  });
});
