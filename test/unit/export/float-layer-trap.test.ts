import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import type { Layout } from "../../../src/export/layout.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { type Format, formats, isBlocked, type LayerChoice } from "../../../src/formats.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { writeModel } from "../../../src/onnx/model.js";
import { readModelFile, writeModelFile } from "../../../src/onnx/model-node.js";
import { buildModel } from "../../support/model-builder.js";
import { int64, randomTensor } from "../../support/tensors.js";
import { conv, gemm, unary } from "./networks.js";
import { observeRanges } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const integer: LayerChoice = { weight: "int8", activation: "int8" };

function chainOfConvolutions(group: number): OnnxModel {
  const model = buildModel(17).input("x", ["N", 8, 8, 8]);
  const before = unary(model, "Relu", "r1", [conv(model, "before", "x", [8, 8, 3])]);
  const middle = unary(model, "Relu", "r2", [conv(model, "middle", before, [8, 8, 3], { group })]);
  return model.output(conv(model, "after", middle, [8, 8, 3])).build();
}

function chainOfProducts(): OnnxModel {
  const model = buildModel(17).input("x", ["N", 8]);
  const before = unary(model, "Relu", "r1", [gemm(model, "before", "x", 8, 8)]);
  const middle = unary(model, "Relu", "r2", [gemm(model, "middle", before, 8, 8)]);
  return model.output(gemm(model, "after", middle, 8, 8)).build();
}

async function inspect(
  model: OnnxModel,
  dims: readonly number[],
  middle: LayerChoice,
  edit = (layout: Layout) => layout,
) {
  const ranges = await observeRanges(model, { x: randomTensor(dims, 1) });
  const plan = new Map([
    ["before", integer],
    ["middle", middle],
    ["after", integer],
  ]);
  const layout = edit(ortCpu.layout(model, plan, ranges));
  const path = join(folder, "model.onnx");
  await writeModelFile(exportModel(model, layout), path);
  return inspectFusion(model, layout, path);
}

const cases = [
  { name: "convolution", make: () => chainOfConvolutions(1), dims: [2, 8, 8, 8] },
  { name: "depthwise convolution", make: () => chainOfConvolutions(8), dims: [2, 8, 8, 8] },
  { name: "product", make: chainOfProducts, dims: [4, 8] },
];
const float: LayerChoice = { weight: "float", activation: "float" };
const floats = (Object.keys(formats) as Format[])
  .filter((weight) => weight === "float" || !isBlocked(weight))
  .map((weight): LayerChoice => ({ weight, activation: "float" }));

describe.each(cases)("a float $name between integer ones", ({ make, dims }) => {
  it.each(floats)("stays float with weight $weight", async (middle) => {
    const report = await inspect(make(), dims, middle);
    expect(report.layers.map(({ found }) => found)).toEqual(["integer", "float", "integer"]);
    expect(report.asPlanned).toBe(true);
  });

  it("would be quantized by the engine if it read its input through one scale, and the report says so", async () => {
    const report = await inspect(make(), dims, float, (layout) => ({
      ...layout,
      edges: layout.edges.map(({ dequantizePerChannel, ...edge }) => edge),
    }));
    expect(report.asPlanned).toBe(false);
    expect(report.layers[1]).toMatchObject({ planned: "float", found: "integer" });
    expect(report.layers[1]!.detail).toContain("quantized itself");
  });
});

const image = [2, 8, 8, 8];

describe.each([
  { opType: "MaxPool", attributes: { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }, more: [] },
  { opType: "Transpose", attributes: { perm: [0n, 1n, 3n, 2n] }, more: [] },
  { opType: "Reshape", attributes: {}, more: [int64([4], [0, 8, 4, 16])] },
  { opType: "Slice", attributes: {}, more: [int64([1], [0]), int64([1], [6]), int64([1], [2])] },
])("$opType between an integer and a float layer", ({ opType, attributes, more }) => {
  it("does not hand the float layer a tensor that the engine would quantize for", async () => {
    const model = buildModel(17).input("x", ["N", 8, 8, 8]);
    const before = unary(model, "Relu", "r1", [conv(model, "before", "x", [8, 8, 3])]);
    for (const [i, tensor] of more.entries()) model.constant(`more${i}`, tensor);
    const moved = unary(model, opType, "moved", [before, ...more.map((_, i) => `more${i}`)], attributes);
    const middle = unary(model, "Relu", "r2", [conv(model, "middle", moved, [8, 8, 3])]);
    const built = model.output(conv(model, "after", middle, [8, 8, 3])).build();
    const report = await inspect(built, image, float);
    expect(report.layers.map(({ found }) => found)).toEqual(["integer", "float", "integer"]);
  });
});

it("quantizes behind a float MaxPool, not in front of it", async () => {
  const model = buildModel(17).input("x", ["N", 8, 8, 8]);
  const before = unary(model, "Relu", "r1", [conv(model, "before", "x", [8, 8, 3])]);
  const pooled = unary(model, "MaxPool", "pool", [before], { kernel_shape: [2n, 2n] });
  const built = model.output(conv(model, "middle", pooled, [8, 8, 3])).build();
  const ranges = await observeRanges(built, { x: randomTensor(image, 1) });
  const layout = ortCpu.layout(built, new Map([["middle", integer]]), ranges);
  const path = join(folder, "optimized.onnx");
  const session = await openSession(writeModel(exportModel(built, layout)), {}, path);
  await session.release();
  const operators = (await readModelFile(path)).graph.node.map(({ opType }) => opType);
  expect(operators.indexOf("QuantizeLinear")).toBeGreaterThan(operators.indexOf("MaxPool"));
});

it("reports a layer that the engine did not fuse", async () => {
  const model = chainOfConvolutions(1);
  const report = await inspect(model, [2, 8, 8, 8], integer, (layout) => ({
    ...layout,
    // Without the read that quantizes its output the last convolution has no grid to write to.
    edges: layout.edges.filter(({ node }) => node !== undefined),
  }));
  expect(report.asPlanned).toBe(false);
  expect(report.layers[2]).toMatchObject({ planned: "integer", found: "float" });
  expect(report.layers[2]!.detail).toContain("not fused");
});
