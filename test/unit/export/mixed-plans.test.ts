import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import type { Range } from "../../../src/export/layout.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { LayerChoice } from "../../../src/formats.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { writeModel } from "../../../src/onnx/model.js";
import { writeModelFile } from "../../../src/onnx/model-node.js";
import { elementCount, type Feeds, type Tensor } from "../../../src/tensor.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomFloats, randomTensor } from "../../support/tensors.js";
import { mixedNetwork } from "./networks.js";
import { observeRanges, simulate } from "./simulate.js";

let model: OnnxModel;
let feeds: Feeds;
let ranges: Map<string, Range>;
let float: Tensor;
let folder: string;

beforeAll(async () => {
  model = mixedNetwork();
  feeds = { x: randomTensor([4, 3, 16, 16], 1, -2, 2) };
  ranges = await observeRanges(model, feeds);
  float = (await runOnnx(writeModel(model), feeds))["logits.y"]!;
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

function relativeError(actual: Tensor, expected: Tensor): number {
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.data.length; i++) {
    error += (Number(actual.data[i]) - Number(expected.data[i])) ** 2;
    power += Number(expected.data[i]) ** 2;
  }
  return Math.sqrt(error / power);
}

function randomPlan(seed: number): Map<string, LayerChoice> {
  const layers = ortCpu.layers(model);
  const draws = randomFloats(layers.length, seed, 0, 1);
  return new Map(layers.map(({ node, choices }, i) => [node, choices[Math.floor(draws[i]! * choices.length)]!]));
}

function planOf(choose: (choices: readonly LayerChoice[]) => LayerChoice | undefined): Map<string, LayerChoice> {
  return new Map(ortCpu.layers(model).map(({ node, choices }) => [node, choose(choices)!]));
}

async function check(name: string, plan: Map<string, LayerChoice>) {
  const layout = ortCpu.layout(model, plan, ranges, { reduceRange: true });
  const exported = exportModel(model, layout);
  const path = join(folder, `${name}.onnx`);
  await writeModelFile(exported, path);
  const report = await inspectFusion(model, layout, path);
  expect(report.layers.filter(({ planned, found }) => planned !== found)).toEqual([]);
  expect(report.strays).toEqual([]);
  expect(report.asPlanned).toBe(true);
  const bytes = writeModel(exported);
  const optimized = (await runOnnx(bytes, feeds, { optimization: "all" }))["logits.y"]!;
  const simulated = (await simulate(model, layout, feeds)).get("logits.y")!;
  // Kernels and simulation may round a value between two codes apart; a missing or misplaced quantizer shows far above this.
  expect(relativeError(optimized, simulated)).toBeLessThan(2e-3);
  return { bytes: bytes.length, error: relativeError(optimized, float), kernels: report.layers };
}

describe("plans over a network of every kind of joint", () => {
  it.each(Array.from({ length: 32 }, (_, seed) => seed))("random choices, seed %i", async (seed) => {
    const { error } = await check(`${seed}`, randomPlan(seed));
    expect(error).toBeLessThan(0.2);
  });

  it("all integer, 8 bits", async () => {
    const plan = planOf((choices) =>
      choices.find(({ weight, activation }) => weight === "int8" && activation === "int8"),
    );
    const { error, kernels } = await check("int8", plan);
    expect(kernels.every(({ found }) => found === "integer")).toBe(true);
    expect(error).toBeLessThan(0.03);
  });

  it("4-bit weights on integer kernels take half the bytes of 8-bit ones", async () => {
    const int8 = await check(
      "w8",
      planOf((choices) => choices.find((c) => c.weight === "int8" && c.activation === "int8")),
    );
    const int4 = await check(
      "w4",
      planOf((choices) => choices.find((c) => c.weight === "int4" && c.activation === "int8")),
    );
    const weights = ortCpu.layers(model).reduce((sum, { weight }) => sum + elementCount(weight.dims), 0);
    expect(int4.kernels.every(({ found }) => found === "integer")).toBe(true);
    // The difference is the codes, less one Cast node a layer.
    expect(int8.bytes - int4.bytes).toBeGreaterThan(weights / 2 - 100 * int4.kernels.length);
  });

  it("weights alone stay on float kernels", async () => {
    const plan = planOf((choices) => choices.find((c) => c.weight === "int8" && c.activation === "float"));
    const { error, kernels } = await check("weights", plan);
    expect(kernels.every(({ found }) => found === "float")).toBe(true);
    expect(error).toBeLessThan(0.02);
  });

  it("a plan of floats gives the model itself", async () => {
    const layout = ortCpu.layout(
      model,
      planOf((choices) => choices[0]),
      ranges,
    );
    expect(layout).toMatchObject({ weights: [], biases: [], edges: [] });
    expect(writeModel(exportModel(model, layout))).toEqual(writeModel(model));
  });
});
