import { describe, expect, it } from "vitest";
import { activationQuantizer } from "../../../src/export/activation-quantizer.js";
import { biasQuantizer, scalesThatHoldBias } from "../../../src/export/bias-quantizer.js";
import { dequantizeCodes, quantizeToCodes } from "../../../src/export/codes.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { weightQuantizer } from "../../../src/export/weight-quantizer.js";
import type { Quantizer } from "../../../src/quantizer.js";
import { elementCount } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, randomFloats } from "../../support/tensors.js";

/** Values of a quantizer's grid at its ends. */
function ends({ scales, zeroPoints, qmin, qmax }: Quantizer): [low: number, high: number] {
  const at = (code: number) => Math.fround((code - zeroPoints[0]!) * scales[0]!);
  return [at(qmin), at(qmax)];
}

describe("activationQuantizer", () => {
  it.each([
    { min: -1, max: 3 },
    { min: -3.7, max: 0.01 },
    { min: 0.5, max: 2 },
    { min: -5, max: -1 },
  ])("covers $min to $max and zero within half a step", ({ min, max }) => {
    const quantizer = activationQuantizer({ min, max });
    const [low, high] = ends(quantizer);
    const step = quantizer.scales[0]!;
    expect(low).toBeLessThanOrEqual(Math.min(min, 0) + 0.51 * step);
    expect(high).toBeGreaterThanOrEqual(Math.max(max, 0) - 0.51 * step);
    expect(high - low).toBeCloseTo(Math.max(max, 0) - Math.min(min, 0), 5);
  });

  it.each(Array.from({ length: 50 }, (_, i) => 0.1 + i * 0.377))("never reaches beyond a ceiling of %f", (ceiling) => {
    const quantizer = activationQuantizer({ min: 0, max: ceiling * 2 }, ceiling);
    const [low, high] = ends(quantizer);
    expect(low).toBe(0);
    expect(high).toBeLessThanOrEqual(ceiling);
    expect(high).toBeGreaterThan(ceiling * (1 - 1e-6));
  });

  it("puts zero at code 0 behind a Relu, whatever the range says", () => {
    const quantizer = activationQuantizer({ min: -0.2, max: 5 }, Number.POSITIVE_INFINITY);
    expect(quantizer.zeroPoints[0]).toBe(0);
    expect(ends(quantizer)[1]).toBeCloseTo(5, 5);
  });

  it.each([
    { min: 0, max: 0 },
    { min: -1e-44, max: 1e-44 },
    { min: 0, max: 1e-40 },
  ])("gives a usable scale for $min to $max", (range) => {
    const scale = activationQuantizer(range).scales[0]!;
    expect(scale).toBeGreaterThanOrEqual(2 ** -126);
    expect(scale).toBeLessThan(1);
  });

  it.each([
    { min: 1, max: 0 },
    { min: Number.NaN, max: 1 },
    { min: 0, max: Number.POSITIVE_INFINITY },
  ])("refuses $min to $max", (range) => {
    expect(() => activationQuantizer(range)).toThrow(expect.objectContaining({ code: "invalid-option" }));
  });
});

describe("biases", () => {
  it("leave scales alone that hold them", () => {
    const scales = Float32Array.of(0.01, 0.5);
    expect(scalesThatHoldBias(scales, Float32Array.of(3, -2), 0.02)).toEqual(scales);
  });

  it("enlarge the scale of a channel whose bias would not fit 31 bits", () => {
    const bias = Float32Array.of(5, -1e6);
    const scales = scalesThatHoldBias(Float32Array.of(1e-12, 1e-9), bias, 0.01);
    const codes = quantizeToCodes(bias, [2], biasQuantizer(scales, 0.01, 0));
    const back = dequantizeCodes(codes, [2], biasQuantizer(scales, 0.01, 0));
    for (const code of codes) expect(Math.abs(code)).toBeLessThanOrEqual(2 ** 30);
    expect(back[0]).toBeCloseTo(5, 4);
    expect(back[1]! / -1e6).toBeCloseTo(1, 5);
  });
});

describe("codes", () => {
  it("equal those of onnxruntime, ties and saturation included", async () => {
    const dims = [3, 4, 5, 2];
    const values = randomFloats(120, 7, -3, 3);
    const quantizer = weightQuantizer(8, 127, 1, Float32Array.of(0.25, 0.013, 0.5, 1));
    // Multiples of half a step are ties.
    for (let i = 0; i < 20; i++) values[i * 6] = (i - 10) * 0.125;
    const model = buildModel(13)
      .input("x", dims)
      .constant("scale", float32([4], quantizer.scales))
      .constant("zero", { dtype: "int8", dims: [4], data: new Int8Array(4) })
      .node("QuantizeLinear", ["x", "scale", "zero"], ["q"], { axis: 1n })
      .node("DequantizeLinear", ["q", "scale", "zero"], ["y"], { axis: 1n })
      .output("q", dims, "int8")
      .output("y", dims);
    const { q, y } = await runOnnx(model.bytes(), { x: float32(dims, values) });
    const codes = quantizeToCodes(values, dims, { ...quantizer, qmin: -128 });
    expect([...codes]).toEqual([...(q!.data as Int8Array)]);
    expect(dequantizeCodes(codes, dims, quantizer)).toEqual(y!.data);
  });

  it.each([
    { axis: 0, size: 16 },
    { axis: 1, size: 4 },
    { axis: 1, size: 5 },
    { axis: 2, size: 2 },
  ])("equal those of onnxruntime in blocks of $size along axis $axis", async ({ axis, size }) => {
    const dims = [32, 10, 6];
    const values = randomFloats(1920, 11, -3, 3);
    const scaleDims = dims.with(axis, Math.ceil(dims[axis]! / size));
    const scales = randomFloats(elementCount(scaleDims), 12, 0.01, 0.05);
    const model = buildModel(21)
      .input("x", dims)
      .constant("scale", float32(scaleDims, scales))
      .constant("zero", { dtype: "int8", dims: scaleDims, data: new Int8Array(scales.length) })
      .node("QuantizeLinear", ["x", "scale", "zero"], ["q"], { axis: BigInt(axis), block_size: BigInt(size) })
      .node("DequantizeLinear", ["q", "scale", "zero"], ["y"], { axis: BigInt(axis), block_size: BigInt(size) })
      .output("q", dims, "int8")
      .output("y", dims);
    const { q, y } = await runOnnx(model.bytes(), { x: float32(dims, values) });
    const quantizer: Quantizer = {
      ...weightQuantizer(8, 127, 0, scales),
      granularity: { kind: "block", axis, size },
      qmin: -128,
    };
    const codes = quantizeToCodes(values, dims, quantizer);
    expect([...codes]).toEqual([...(q!.data as Int8Array)]);
    expect(dequantizeCodes(codes, dims, quantizer)).toEqual(y!.data);
  });
});

describe("quantizers of weights", () => {
  it.each(["fp8e4m3", "int16", "int8", "int4b32"] as const)("refuse a weight that is not finite as %s", (weight) => {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const values = randomFloats(64 * 8, 1);
      values[77] = odd;
      const model = buildModel(17)
        .input("x", [1, 64])
        .constant("w", float32([64, 8], values))
        .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
        .output("y")
        .build();
      const layout = () => ortCpu.layout(model, new Map([["product", { weight, activation: "float" }]]), new Map());
      expect(layout).toThrow(expect.objectContaining({ code: "invalid-option", where: 'layer "product"' }));
    }
  });
});
