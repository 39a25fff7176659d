import { expect, it } from "vitest";
import { predictLatency } from "../../../src/cost/latency-model.js";
import { parseLatencyModel } from "../../../src/cost/parse-latency-model.js";
import { latencyFromProfile, parseProfile } from "../../../src/cost/profile.js";
import { parseJson } from "../../../src/data/json.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { LayerChoice } from "../../../src/formats.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";
import { conv, gemm, unary } from "../export/networks.js";

const float: LayerChoice = { weight: "float", activation: "float" };
const integer: LayerChoice = { weight: "int8", activation: "int8" };
const small: LayerChoice = { weight: "int8", activation: "float" };

const profile = { name: "npu", macsPerSecond: { float: 1e9, int8: 8e9 }, bytesPerSecond: 2e8, layerMs: 0.5 };
const parse = (value: unknown) => parseProfile(parseJson(JSON.stringify(value), "npu.json"));

it("takes the longer of multiplications and traffic for each layer", () => {
  const model = buildModel(17).input("x", ["N", 8, 16, 16]);
  const pooled = unary(model, "GlobalAveragePool", "pool", [conv(model, "conv", "x", [8, 8, 3], { bias: false })]);
  const flat = unary(model, "Flatten", "flat", [pooled]);
  const layers = ortCpu.layers(model.output(gemm(model, "fc", flat, 1000, 8)).build());
  const shapes = new Map([
    ["x", [1, 8, 16, 16]],
    ["conv.y", [1, 8, 16, 16]],
    ["flat.y", [1, 8]],
    ["fc.y", [1, 1000]],
  ]);
  const latency = latencyFromProfile(parse(profile), layers, shapes);
  const time = (conv: LayerChoice, fc: LayerChoice) => predictLatency(latency, new Map(Object.entries({ conv, fc })));

  // The convolution multiplies 8 * 8 * 9 * 256 times for 19 kB; the product 8000 times for 40 kB.
  const macs = 8 * 8 * 9 * 256;
  const convFloat = 0.5 + macs / 1e6;
  const fcFloat = 0.5 + (4 * (8000 + 1000 + 8 + 1000)) / 2e5;
  expect(time(float, float)).toBeCloseTo(convFloat + fcFloat, 9);
  // Eight times faster, the convolution's traffic takes longer: weights, a scale a channel, input and output.
  expect(macs / 8e6).toBeLessThan((576 + 32 + 4096) / 2e5);
  expect(time(integer, float)).toBeCloseTo(0.5 + (576 + 32 + 4096) / 2e5 + fcFloat, 9);
  // Narrow weights alone change what is read, not how it is multiplied.
  expect(time(small, small)).toBeCloseTo(convFloat + 0.5 + (8000 + 4000 + 4000 + 4 * 1008) / 2e5, 9);
});

it("reads of a table the rows that are asked for", () => {
  const model = buildModel(17)
    .input("ids", ["N", 3], "int64")
    .constant("table", randomTensor([1000, 8], 1))
    .node("Gather", ["table", "ids"], ["rows"], {}, { name: "embed" })
    .output("rows")
    .build();
  const layers = ortCpu.layers(model).map((layer) => ({ ...layer, choices: [float, small] }));
  const latency = latencyFromProfile(parse(profile), layers, new Map([["rows", [1, 3, 8]]]));
  // The rows twice: from the table and as the result. The narrow ones have a scale each.
  expect(latency.floatMs).toBeCloseTo(0.5 + (4 * 24 + 4 * 24) / 2e5, 9);
  expect(predictLatency(latency, new Map([["embed", small]]))).toBeCloseTo(0.5 + (24 + 3 * 4 + 4 * 24) / 2e5, 9);
});

it("leaves layers without a choice float, and survives being saved", () => {
  const model = buildModel(17).input("x", ["N", 8]);
  const layers = ortCpu.layers(model.output(gemm(model, "fc", "x", 1000, 8)).build());
  const shapes = new Map([
    ["x", [1, 8]],
    ["fc.y", [1, 1000]],
  ]);
  const latency = latencyFromProfile(parse(profile), layers, shapes);
  expect(predictLatency(latency, new Map())).toBe(latency.floatMs);
  expect(latency).toMatchObject({ profile: "npu", checks: [] });
  expect(parseLatencyModel(parseJson(JSON.stringify(latency), "a.json"))).toEqual(latency);
});

it("says what is wrong with a profile", () => {
  expect(parse({ ...profile, layerMs: undefined }).layerMs).toBe(0);
  const refused = (change: object, where: string) =>
    expect(() => parse({ ...profile, ...change })).toThrow(
      expect.objectContaining({ code: "invalid-data", where: `npu.json, ${where}` }),
    );
  refused({ bytesPerSecond: 0 }, "bytesPerSecond");
  refused({ macsPerSecond: { int8: 1 } }, "macsPerSecond.float");
  refused({ macsPerSecond: { float: 1, int7: 1 } }, "macsPerSecond.int7");
  refused({ layerMs: -1 }, "layerMs");
  refused({ speed: 1 }, "speed");
});
