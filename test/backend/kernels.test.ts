import { describe, expect, test } from "vitest";
import { loadBackend } from "../../src/backend/load-node.js";
import {
  fakeQuantize,
  type QuantizerSpec,
  quantizationError,
  quantizeLinear,
  type RangeMethod,
  searchScale,
} from "../../src/index.js";
import { dataTypeCode } from "../../src/onnx/data-types.js";
import { TensorProto_DataType as Code } from "../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../src/onnx/initializer.js";
import type { Granularity, Quantizer } from "../../src/quantizer.js";
import { type DataType, elementCount, type Tensor } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { runOnnx } from "../support/onnxruntime.js";
import { randomFloats } from "../support/tensors.js";

const dims = [3, 10, 7];
const granularities: Record<string, Granularity> = {
  tensor: { kind: "tensor" },
  "channel 0": { kind: "channel", axis: 0 },
  "channel 1": { kind: "channel", axis: 1 },
  "channel 2": { kind: "channel", axis: 2 },
  "blocks of 4 along 1": { kind: "block", axis: 1, size: 4 },
  "blocks of 7 along 2": { kind: "block", axis: 2, size: 7 },
  "blocks of 2 along 0": { kind: "block", axis: 0, size: 2 },
};

/** Values around every code of the grid, halfway cases, both zeros, and values far outside. */
function values(seed: number): Float32Array {
  const x = randomFloats(elementCount(dims), seed, -3, 3);
  x.set([0, -0, 0.125, -0.125, 0.375, 1e30, -1e30, 3e38, 1e-42, -1e-42, 65.0625], 20);
  for (let i = 40; i < 80; i++) x[i] = Math.round(x[i]! * 8) / 16;
  return x;
}

/** The shape of a quantizer's scales, as ONNX has them. */
function scaleDims(granularity: Granularity): number[] {
  if (granularity.kind === "tensor") return [];
  const length = dims[granularity.axis]!;
  if (granularity.kind === "channel") return [length];
  return dims.with(granularity.axis, Math.ceil(length / granularity.size));
}

function quantizerOf(bits: number, signed: boolean, granularity: Granularity, symmetric: boolean): Quantizer {
  const qmin = signed ? -(2 ** (bits - 1)) : 0;
  const qmax = qmin + 2 ** bits - 1;
  const groups = elementCount(scaleDims(granularity));
  const scales = randomFloats(groups, bits, 0.5 * 2 ** -bits, 8 * 2 ** -bits);
  scales[0] = 0.25;
  const zeroPoints = Int32Array.from(randomFloats(groups, bits + 50, qmin, qmax + 1), Math.floor);
  return { bits, signed, qmin, qmax, granularity, scales, zeroPoints: symmetric ? zeroPoints.fill(0) : zeroPoints };
}

/** Runs QuantizeLinear and DequantizeLinear in onnxruntime; `codes` too where JavaScript has their type. */
async function onnx(x: Float32Array, quantizer: Quantizer, type: string): Promise<{ y: Tensor; codes?: Tensor }> {
  const { granularity, scales, zeroPoints, signed } = quantizer;
  const holder: DataType = type.endsWith("int4") ? (signed ? "int8" : "uint8") : (type as DataType);
  const arrays = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array };
  const data = arrays[holder as keyof typeof arrays].from(zeroPoints);
  const shape = scaleDims(granularity);
  const attributes = {
    ...(granularity.kind === "tensor" ? {} : { axis: BigInt(granularity.axis) }),
    ...(granularity.kind === "block" ? { block_size: BigInt(granularity.size) } : {}),
  };
  const code = { int4: Code.INT4, uint4: Code.UINT4 }[type] ?? dataTypeCode(holder);
  const model = buildModel(21)
    .input("x", dims)
    .constant("scale", { dtype: "float32", dims: shape, data: scales })
    .constant("zero", makeTensor("zero", { dtype: holder, dims: shape, data } as Tensor, code))
    .node("QuantizeLinear", ["x", "scale", "zero"], ["codes"], attributes)
    .node("DequantizeLinear", ["codes", "scale", "zero"], ["y"], attributes)
    .output("y", dims);
  if (code === dataTypeCode(holder)) model.output("codes", dims, holder);
  const outputs = await runOnnx(model.bytes(), { x: { dtype: "float32", dims, data: x } });
  return outputs as { y: Tensor; codes?: Tensor };
}

describe("fakeQuantize and quantizeLinear", () => {
  const types: [string, number, boolean][] = [
    ["int8", 8, true],
    ["uint8", 8, false],
    ["int16", 16, true],
    ["uint16", 16, false],
    ["int4", 4, true],
    ["uint4", 4, false],
  ];
  const cases = types.flatMap(([type, bits, signed]) =>
    Object.keys(granularities).flatMap((granularity) =>
      [true, false].map((symmetric) => ({ type, bits, signed, granularity, symmetric })),
    ),
  );

  test.each(cases)("equal onnxruntime: $type per $granularity, symmetric $symmetric", async (testCase) => {
    const { type, bits, signed, granularity, symmetric } = testCase;
    const quantizer = quantizerOf(bits, signed, granularities[granularity]!, symmetric);
    // Beyond 2^31 steps onnxruntime's conversion to an integer overflows before it saturates.
    const x = values(bits).map((value) => Math.min(Math.max(value, -1e4), 1e4));
    const expected = await onnx(x, quantizer, type);
    expect(await fakeQuantize(backend, x, dims, quantizer)).toEqual(expected.y.data);
    const codes = await quantizeLinear(backend, x, dims, quantizer);
    if (expected.codes !== undefined) expect(codes).toEqual(Int32Array.from(expected.codes.data as Int8Array));
  });

  const widths = Array.from({ length: 15 }, (_, i) => i + 2);
  test.each(widths)("follow the definition with %i bits, on any subrange of the codes", async (bits) => {
    for (const signed of [true, false]) {
      const full = quantizerOf(bits, signed, granularities["channel 1"]!, false);
      const quantizer = {
        ...full,
        qmin: full.qmin + 1,
        zeroPoints: full.zeroPoints.map((z) => Math.max(z, full.qmin + 1)),
      };
      const { scales, zeroPoints, qmin, qmax } = quantizer;
      const x = values(bits);
      const codes = Int32Array.from(x, (value, i) => {
        const channel = Math.floor(i / 7) % 10;
        const code = roundHalfEven(Math.fround(value / scales[channel]!)) + zeroPoints[channel]!;
        return Math.min(Math.max(code, qmin), qmax);
      });
      const y = Float32Array.from(codes, (code, i) => {
        const channel = Math.floor(i / 7) % 10;
        return (code - zeroPoints[channel]!) * scales[channel]!;
      });
      expect(await quantizeLinear(backend, x, dims, quantizer)).toEqual(codes);
      expect(await fakeQuantize(backend, x, dims, quantizer)).toEqual(y);
    }
  });

  test("give NaN the smallest code", async () => {
    const quantizer = quantizerOf(8, true, { kind: "tensor" }, true);
    expect(await quantizeLinear(backend, Float32Array.of(Number.NaN), [1], quantizer)).toEqual(Int32Array.of(-128));
    expect(await fakeQuantize(backend, Float32Array.of(Number.NaN), [1], quantizer)).toEqual(Float32Array.of(-32));
  });

  test("take empty arrays, and arrays that make WebAssembly's memory grow", async () => {
    const quantizer = quantizerOf(8, true, { kind: "tensor" }, true);
    expect(await fakeQuantize(backend, new Float32Array(0), [4, 0], quantizer)).toEqual(new Float32Array(0));
    const x = new Float32Array(12_000_000).fill(0.3);
    const y = await fakeQuantize(backend, x, [x.length], quantizer);
    expect(y.length).toBe(x.length);
    expect(y.every((value) => value === 0.25)).toBe(true);
  });

  test("run many at once", async () => {
    const quantizers = widths.map((bits) => quantizerOf(bits, true, { kind: "tensor" }, false));
    const x = values(1);
    const alone = [];
    for (const quantizer of quantizers) alone.push(await fakeQuantize(backend, x, dims, quantizer));
    const together = await Promise.all(quantizers.map((quantizer) => fakeQuantize(backend, x, dims, quantizer)));
    expect(together).toEqual(alone);
  });
});

describe("quantizationError", () => {
  test.each(Object.keys(granularities))("sums squared errors per %s, weighted or not", async (name) => {
    const granularity = granularities[name]!;
    const x = randomFloats(elementCount(dims), 3, -2, 2);
    const weights = randomFloats(x.length, 4, 0, 5);
    const first = quantizerOf(4, true, granularity, false);
    const candidates = [0.5, 1, 1.7].map((factor) => ({
      ...first,
      scales: first.scales.map((scale) => scale * factor),
    }));
    for (const weight of [undefined, weights]) {
      const sums = await quantizationError(backend, x, dims, candidates, weight);
      expect(sums.length).toBe(candidates.length);
      for (const [c, candidate] of candidates.entries()) {
        const y = await fakeQuantize(backend, x, dims, candidate);
        const expected = new Float64Array(first.scales.length);
        for (const [i, value] of x.entries()) {
          expected[groupOf(i, granularity)]! += Math.fround(y[i]! - value) ** 2 * (weight?.[i] ?? 1);
        }
        for (const [g, sum] of sums[c]!.entries()) expect(sum / expected[g]!).toBeCloseTo(1, 10);
      }
    }
  });

  test("of no candidates is empty", async () => {
    expect(await quantizationError(backend, new Float32Array(2), [2], [])).toEqual([]);
  });
});

describe("searchScale", () => {
  const spec: QuantizerSpec = { bits: 4, signed: true, symmetric: true, granularity: { kind: "tensor" } };
  const affine: QuantizerSpec = { ...spec, signed: false, symmetric: false };
  const x = randomFloats(1000, 7, -1, 2);

  test("minmax covers the extremes and represents zero", async () => {
    const symmetric = await searchScale(backend, x, [1000], spec);
    expect(symmetric).toMatchObject({ bits: 4, signed: true, qmin: -8, qmax: 7, zeroPoints: Int32Array.of(0) });
    expect(symmetric.scales[0]).toBeCloseTo(Math.max(...x) / 7, 6);
    const { scales, zeroPoints } = await searchScale(backend, x, [1000], affine);
    expect(scales[0]).toBeCloseTo((Math.max(...x) - Math.min(...x)) / 15, 6);
    expect(zeroPoints[0]).toBe(Math.round(-Math.min(...x) / scales[0]!));
  });

  test("percentile leaves the outermost values out", async () => {
    const outliers = Float32Array.from(x);
    outliers.set([500, -400], 10);
    const { scales } = await searchScale(backend, outliers, [1000], spec, { kind: "percentile", share: 0.99 });
    const magnitudes = outliers.map(Math.abs).sort();
    expect(scales[0]).toBeCloseTo(magnitudes[989]! / 7, 6);
  });

  test.each([spec, affine])("mse finds the least error that a dense grid of ranges has, to 1 %%", async (kind) => {
    const bell = Float32Array.from({ length: 4000 }, (_, i) => {
      const parts = randomFloats(6, 100 + i);
      return 0.2 + parts.reduce((sum, part) => sum + part) ** 3;
    });
    const [low, high] = [Math.min(...bell), Math.max(...bell)];
    const found = await searchScale(backend, bell, [4000], kind, { kind: "mse" });
    const error = async (candidates: Quantizer[]) =>
      (await quantizationError(backend, bell, [4000], candidates)).map(([sum]) => sum!);
    const grid: Quantizer[] = [];
    const steps = Array.from({ length: 60 }, (_, i) => (i + 1) / 60);
    for (const a of steps) {
      for (const b of kind.symmetric ? [a] : steps) {
        const scale = kind.symmetric ? (Math.max(-low, high) * a) / 7 : (high * a - low * b) / 15;
        const zeroPoint = kind.symmetric ? 0 : Math.round((-low * b) / scale);
        grid.push({ ...found, scales: Float32Array.of(scale), zeroPoints: Int32Array.of(zeroPoint) });
      }
    }
    const [least] = await error([found]);
    expect(least).toBeLessThanOrEqual(Math.min(...(await error(grid))) * 1.01);
  });

  test("mse follows the weights", async () => {
    const mixed = randomFloats(1000, 9, -1, 1);
    mixed.set([8], 0);
    const heavy = new Float32Array(1000).fill(1e-6);
    heavy[0] = 1;
    const even = await searchScale(backend, mixed, [1000], spec, { kind: "mse" });
    const outlier = await searchScale(backend, mixed, [1000], spec, { kind: "mse", weights: heavy });
    const at = async (quantizer: Quantizer) => (await fakeQuantize(backend, Float32Array.of(8), [1], quantizer))[0]!;
    expect(Math.abs((await at(outlier)) - 8)).toBeLessThan(0.1);
    expect(Math.abs((await at(even)) - 8)).toBeGreaterThan(1);
  });

  test.each(Object.keys(granularities))("treats groups on their own, per %s", async (name) => {
    const granularity = granularities[name]!;
    const data = randomFloats(elementCount(dims), 11, -4, 1);
    for (const kind of ["minmax", "mse"] as const) {
      const all = await searchScale(backend, data, dims, { ...affine, granularity }, { kind });
      expect(all.scales.length).toBe(elementCount(scaleDims(granularity)));
      for (const group of all.scales.keys()) {
        const own = data.filter((_, i) => groupOf(i, granularity) === group);
        const alone = await searchScale(backend, own, [own.length], affine, { kind });
        expect([all.scales[group], all.zeroPoints[group]]).toEqual([alone.scales[0], alone.zeroPoints[0]]);
      }
    }
  });

  test.each([0, 1e-42, 5])("gives a usable quantizer to a tensor of %d alone", async (constant) => {
    for (const kind of ["minmax", "mse"] as const) {
      for (const each of [spec, affine]) {
        const data = new Float32Array(8).fill(constant);
        const quantizer = await searchScale(backend, data, [8], each, { kind });
        const y = await fakeQuantize(backend, data, [8], quantizer);
        for (const value of y) expect(Math.abs(value - constant)).toBeLessThanOrEqual(quantizer.scales[0]! / 2);
      }
    }
  });

  test("gives the same bits on the other backend", async () => {
    const other = await loadBackend(backend.name === "native" ? "wasm" : "native");
    const methods: RangeMethod[] = [{ kind: "minmax" }, { kind: "percentile", share: 0.97 }, { kind: "mse" }];
    for (const method of methods) {
      for (const granularity of Object.values(granularities)) {
        const data = randomFloats(elementCount(dims), 13, -4, 1);
        const request = { ...affine, granularity };
        expect(await searchScale(backend, data, dims, request, method)).toEqual(
          await searchScale(other, data, dims, request, method),
        );
      }
    }
  });
});

describe("what cannot be right is refused", () => {
  const quantizer = quantizerOf(8, true, { kind: "tensor" }, true);
  const one = Float32Array.of(1);
  const invalidOption = { name: "BitwrightError", code: "invalid-option" };
  const invalidData = { name: "BitwrightError", code: "invalid-data" };

  test.each<[string, Partial<Quantizer>]>([
    ["a zero scale", { scales: Float32Array.of(0) }],
    ["an infinite scale", { scales: Float32Array.of(Number.POSITIVE_INFINITY) }],
    ["a NaN scale", { scales: Float32Array.of(Number.NaN) }],
    ["a missing scale", { scales: new Float32Array(0) }],
    ["a zero point that is no code", { zeroPoints: Int32Array.of(128) }],
    ["codes beyond the bits", { qmax: 128 }],
    ["one bit", { bits: 1 }],
    ["an axis that is not there", { granularity: { kind: "channel", axis: 1 } }],
    ["an empty block", { granularity: { kind: "block", axis: 0, size: 0 } }],
  ])("%s", async (_, wrong) => {
    await expect(fakeQuantize(backend, one, [1], { ...quantizer, ...wrong })).rejects.toMatchObject(invalidOption);
  });

  test("an array that does not fit its shape", async () => {
    await expect(quantizeLinear(backend, one, [2], quantizer)).rejects.toMatchObject(invalidData);
    const weights = new Float32Array(3);
    await expect(quantizationError(backend, one, [1], [quantizer], weights)).rejects.toMatchObject(invalidData);
  });

  test("candidates on different grids", async () => {
    const candidates = [quantizer, { ...quantizer, qmin: -127 }];
    await expect(quantizationError(backend, one, [1], candidates)).rejects.toMatchObject(invalidOption);
  });

  test("a search for what no quantizer can be", async () => {
    const spec: QuantizerSpec = { bits: 8, signed: true, symmetric: true, granularity: { kind: "tensor" } };
    await expect(searchScale(backend, one, [1], { ...spec, signed: false })).rejects.toMatchObject(invalidOption);
    await expect(searchScale(backend, one, [1], { ...spec, bits: 17 })).rejects.toMatchObject(invalidOption);
    const share: RangeMethod = { kind: "percentile", share: 1.5 };
    await expect(searchScale(backend, one, [1], spec, share)).rejects.toMatchObject(invalidOption);
    await expect(searchScale(backend, Float32Array.of(Number.NaN), [1], spec)).rejects.toMatchObject(invalidData);
  });
});

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** Which quantizer an element of a [3, 10, 7] tensor belongs to. */
function groupOf(index: number, granularity: Granularity): number {
  if (granularity.kind === "tensor") return 0;
  const position = [Math.floor(index / 70), Math.floor(index / 7) % 10, index % 7];
  if (granularity.kind === "channel") return position[granularity.axis]!;
  const blocked = position.with(granularity.axis, Math.floor(position[granularity.axis]! / granularity.size));
  return blocked.reduce((group, at, axis) => group * (axis === 0 ? 1 : scaleDims(granularity)[axis]!) + at, 0);
}
