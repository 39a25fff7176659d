import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EngineModel } from "../../../src/evaluate/engine-model.js";
import { Simulator } from "../../../src/evaluate/simulator.js";
import type { Layout, Range } from "../../../src/export/layout.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { type Format, formats, isBlocked, type LayerChoice } from "../../../src/formats.js";
import { Graph } from "../../../src/onnx/graph.js";
import { type OnnxModel, writeModel } from "../../../src/onnx/model.js";
import type { TensorOf } from "../../../src/tensor.js";
import { backend } from "../../support/backends.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomFloats, randomTensor } from "../../support/tensors.js";
import { mixedNetwork } from "./networks.js";
import { observeRanges } from "./simulate.js";

const feeds = { x: randomTensor([4, 3, 16, 16], 1, -2, 2) };
const empty: Layout = { target: "ort-cpu", weights: [], biases: [], edges: [] };
let model: OnnxModel;
let ranges: Map<string, Range>;
let engine: EngineModel;
let simulator: Simulator;
let float: Float32Array;

beforeAll(async () => {
  model = mixedNetwork();
  ranges = await observeRanges(model, feeds);
  engine = await EngineModel.create(backend, model);
  simulator = new Simulator(engine, model);
  float = await simulated(empty);
});
afterAll(() => engine.dispose());

async function simulated(layout: Layout): Promise<Float32Array> {
  await simulator.apply(layout);
  await engine.run(feeds);
  return ((await simulator.readOutputs())["logits.y"] as TensorOf<"float32">).data;
}

async function exported(layout: Layout): Promise<Float32Array> {
  const bytes = writeModel(exportModel(model, layout));
  return (await runOnnx(bytes, feeds, { optimization: "all" }))["logits.y"]!.data as Float32Array;
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const error = actual.reduce((sum, value, i) => sum + (value - expected[i]!) ** 2, 0);
  return Math.sqrt(error / expected.reduce((sum, value) => sum + value ** 2, 0));
}

function layoutOf(choose: (choices: readonly LayerChoice[], layer: number) => LayerChoice | undefined): Layout {
  const choices = ortCpu.layers(model).flatMap(({ node, choices }, i) => {
    const choice = choose(choices, i);
    return choice === undefined ? [] : [[node, choice] as const];
  });
  return ortCpu.layout(model, new Map(choices), ranges, { reduceRange: true });
}

describe("the engine with a layout", () => {
  // The longest sum of a product in the network has 32 terms.
  const storable = (Object.keys(formats) as Format[]).filter(
    (format) => format !== "float" && (!isBlocked(format) || formats[format].block <= 32),
  );

  it.each(storable)("computes what onnxruntime does with %s weights", async (weight) => {
    const layout = layoutOf((choices) => choices.find((c) => c.weight === weight && c.activation === "float"));
    const actual = await simulated(layout);
    // Sums of floats in another order.
    expect(relativeError(actual, await exported(layout))).toBeLessThan(1e-5);
    expect(relativeError(actual, float)).toBeGreaterThan(1e-6);
  });

  it.each([1, 2, 3, 4, 5, 6])("computes what onnxruntime does with any plan, seed %i", async (seed) => {
    const draws = randomFloats(64, seed, 0, 1);
    const layout = layoutOf((choices, i) => choices[Math.floor(draws[i]! * choices.length)]);
    // Codes of activations that lie between two may be rounded either way.
    expect(relativeError(await simulated(layout), await exported(layout))).toBeLessThan(5e-3);
  });

  it("takes weights that are not rounded to nearest", async () => {
    const rounded = layoutOf((choices) => choices.find((c) => c.weight === "int4" && c.activation === "float"));
    const graph = new Graph(model);
    const weights = rounded.weights.map((weight) => {
      const { data } = graph.constant(weight.initializer) as TensorOf<"float32">;
      return { ...weight, values: data.map((value) => Math.abs(value)) };
    });
    const layout: Layout = { ...rounded, weights };
    const actual = await simulated(layout);
    expect(relativeError(actual, await exported(layout))).toBeLessThan(1e-5);
    expect(relativeError(actual, await simulated(rounded))).toBeGreaterThan(0.1);
  });

  it("is the float model again afterwards", async () => {
    await simulated(layoutOf((choices) => choices.at(-1)));
    expect(await simulated(empty)).toEqual(float);
  });
});
