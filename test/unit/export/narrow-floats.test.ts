import { describe, expect, it } from "vitest";
import { largestFloat, type NarrowBits, narrowFloats, widenFloats } from "../../../src/export/narrow-floats.js";
import { type FloatingFormat, formats } from "../../../src/formats.js";
import { TensorProto_DataType as Code } from "../../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../../src/onnx/initializer.js";
import type { Tensor } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, randomFloats } from "../../support/tensors.js";

const cases = [
  { format: "fp16", code: Code.FLOAT16, largest: 65504 },
  { format: "bf16", code: Code.BFLOAT16, largest: 3.3895313892515355e38 },
  { format: "fp8e4m3", code: Code.FLOAT8E4M3FN, largest: 448 },
  { format: "fp8e5m2", code: Code.FLOAT8E5M2, largest: 57344 },
] as const satisfies readonly { format: FloatingFormat; code: Code; largest: number }[];

/** What onnxruntime's Cast makes of values, there and back. */
async function castThereAndBack(values: Float32Array, code: Code): Promise<Float32Array> {
  const model = buildModel(21)
    .input("x", [values.length])
    .node("Cast", ["x"], ["narrow"], { to: BigInt(code) })
    .node("Cast", ["narrow"], ["y"], { to: BigInt(Code.FLOAT) })
    .output("y", [values.length]);
  return (await runOnnx(model.bytes(), { x: float32([values.length], values) })).y!.data as Float32Array;
}

/** What onnxruntime's Cast reads in stored bits. */
async function castBits(bits: NarrowBits, code: Code): Promise<Float32Array> {
  const dims = [bits.length];
  const tensor: Tensor =
    bits instanceof Uint16Array ? { dtype: "uint16", dims, data: bits } : { dtype: "uint8", dims, data: bits };
  const model = buildModel(21)
    .constant("narrow", makeTensor("narrow", tensor, code))
    .node("Cast", ["narrow"], ["y"], { to: BigInt(Code.FLOAT) })
    .output("y", dims);
  return (await runOnnx(model.bytes(), {})).y!.data as Float32Array;
}

/** All bits of finite values, both signs. */
function finiteBits(format: FloatingFormat): NarrowBits {
  const { bits, exponentBits, mantissaBits } = formats[format];
  const infinity = (2 ** exponentBits - 1) << mantissaBits;
  const magnitudes = Array.from({ length: format === "fp8e4m3" ? 0x7f : infinity }, (_, i) => i);
  const both = [...magnitudes, ...magnitudes.map((magnitude) => magnitude | (1 << (bits - 1)))];
  return bits === 16 ? Uint16Array.from(both) : Uint8Array.from(both);
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function nextFloat(value: number, steps: number): number {
  const bits = bitsOf(Float32Array.of(value));
  bits[0]! += steps;
  return new Float32Array(bits.buffer)[0]!;
}

describe.each(cases)("$format", ({ format, code, largest }) => {
  it("reads every finite value as onnxruntime does, and writes it back", async () => {
    const bits = finiteBits(format);
    const values = widenFloats(bits, format);
    expect(bitsOf(values)).toEqual(bitsOf(await castBits(bits, code)));
    expect(narrowFloats(values, format)).toEqual(bits);
    expect(values.reduce((most, value) => Math.max(most, value))).toBe(largest);
    expect(largestFloat(format)).toBe(largest);
  });

  it("rounds the middle between any two neighbours, and what lies beside it, as onnxruntime does", async () => {
    const magnitudes = widenFloats(finiteBits(format), format).filter((value) => value >= 0);
    const values: number[] = [];
    for (let i = 1; i < magnitudes.length; i++) {
      const middle = Math.fround((magnitudes[i - 1]! + magnitudes[i]!) / 2);
      for (const value of [middle, nextFloat(middle, 1), nextFloat(middle, -1)]) values.push(value, -value);
    }
    const given = Float32Array.from(values);
    expect(bitsOf(widenFloats(narrowFloats(given, format), format))).toEqual(
      bitsOf(await castThereAndBack(given, code)),
    );
  });

  it("rounds values of all magnitudes as onnxruntime does", async () => {
    const random = randomFloats(2 * 20_000, 3);
    const given = Float32Array.from({ length: 20_000 }, (_, i) => random[i]! * 2 ** (random[20_000 + i]! * 15));
    given.set([0, -0, 2 ** -149, -(2 ** -149), 2 ** -126, 2 ** -25, 2 ** -24 * 1.5, 1 / 3]);
    expect(bitsOf(widenFloats(narrowFloats(given, format), format))).toEqual(
      bitsOf(await castThereAndBack(given, code)),
    );
  });

  it("saturates, where Cast with 16 bits gives infinities", async () => {
    const given = Float32Array.of(largest, nextFloat(largest, 1), 3.4e38, -3.4e38);
    const ours = widenFloats(narrowFloats(given, format), format);
    expect([...ours]).toEqual([largest, largest, largest, -largest]);
    const theirs = await castThereAndBack(given, code);
    if (formats[format].bits === 8) expect(theirs).toEqual(ours);
    else expect(theirs[2]).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses %f", (value) => {
    expect(() => narrowFloats(Float32Array.of(1, value), format)).toThrow(
      expect.objectContaining({ code: "invalid-model", where: "element 1" }),
    );
  });
});
