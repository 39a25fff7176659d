import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { LayerChoice } from "../../../src/formats.js";
import { type OnnxModel, readModel, writeModel } from "../../../src/onnx/model.js";
import { buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, int64, randomTensor } from "../../support/tensors.js";
import { conv } from "./networks.js";
import { observeRanges, simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Case {
  readonly name: string;
  /** Adds nodes between two convolutions; returns what the second one reads and its number of channels. */
  readonly between: (model: ModelBuilder, input: string) => readonly [output: string, channels: number];
  /** What is there afterwards besides the two convolutions, one Quantize and one Dequantize; transposes apart. */
  readonly becomes: readonly string[];
}

function single(opType: string, channels: number, attributes = {}, more: readonly string[] = []): Case["between"] {
  return (model, input) => {
    model.node(opType, [input, ...more], ["m"], attributes);
    return ["m", channels];
  };
}

const cases: Case[] = [
  { name: "MaxPool", between: single("MaxPool", 4, { kernel_shape: [2n, 2n] }), becomes: ["NhwcMaxPool"] },
  {
    name: "AveragePool",
    between: single("AveragePool", 4, { kernel_shape: [2n, 2n] }),
    becomes: ["QLinearAveragePool"],
  },
  { name: "GlobalAveragePool", between: single("GlobalAveragePool", 4), becomes: ["QLinearGlobalAveragePool"] },
  { name: "LeakyRelu", between: single("LeakyRelu", 4, { alpha: 0.1 }), becomes: ["QLinearLeakyRelu"] },
  {
    name: "Add",
    between: (model, input) => {
      const other = conv(model, "other", input, [4, 4, 1]);
      model.node("Add", [input, other], ["m"]);
      return ["m", 4];
    },
    becomes: ["QLinearConv", "QLinearAdd"],
  },
  {
    name: "Add and Relu",
    between: (model, input) => {
      const other = conv(model, "other", input, [4, 4, 1]);
      model.node("Add", [input, other], ["s"]).node("Relu", ["s"], ["m"]);
      return ["m", 4];
    },
    becomes: ["QLinearConv", "QLinearAdd"],
  },
  {
    name: "Mul",
    between: (model, input) => {
      const other = conv(model, "other", input, [4, 4, 1]);
      model.node("Mul", [input, other], ["m"]);
      return ["m", 4];
    },
    becomes: ["QLinearConv", "QLinearMul"],
  },
  {
    name: "Concat",
    between: (model, input) => {
      const other = conv(model, "other", input, [6, 4, 1]);
      model.node("Concat", [input, other], ["m"], { axis: 1n });
      return ["m", 10];
    },
    becomes: ["QLinearConv", "QLinearConcat"],
  },
  {
    name: "Resize",
    between: (model, input) => {
      model.constant("scales", float32([4], [1, 1, 2, 2]));
      model.node("Resize", [input, "", "scales"], ["m"], {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
      });
      return ["m", 4];
    },
    becomes: ["Resize"],
  },
  {
    name: "Reshape",
    between: (model, input) => {
      model.constant("shape", int64([4], [0, 2, 12, -1])).node("Reshape", [input, "shape"], ["m"]);
      return ["m", 2];
    },
    becomes: ["Reshape"],
  },
  { name: "Transpose", between: single("Transpose", 4, { perm: [0n, 1n, 3n, 2n] }), becomes: [] },
  {
    name: "Slice",
    between: (model, input) => {
      for (const [name, value] of [
        ["starts", 0],
        ["ends", 6],
        ["axes", 2],
        ["steps", 2],
      ] as const) {
        model.constant(name, int64([1], [value]));
      }
      model.node("Slice", [input, "starts", "ends", "axes", "steps"], ["m"]);
      return ["m", 4];
    },
    becomes: ["Slice"],
  },
  {
    name: "Split",
    between: (model, input) => {
      model.constant("sizes", int64([2], [1, 3])).node("Split", [input, "sizes"], ["m", "rest"], { axis: 1n });
      model.output(conv(model, "other", "rest", [2, 3, 1]));
      return ["m", 1];
    },
    becomes: ["Split", "QLinearConv", "DequantizeLinear"],
  },
  {
    name: "Gather",
    between: (model, input) => {
      model.constant("indices", int64([2], [3, 1])).node("Gather", [input, "indices"], ["m"], { axis: 1n });
      return ["m", 2];
    },
    becomes: ["Gather"],
  },
  { name: "DepthToSpace", between: single("DepthToSpace", 1, { blocksize: 2n }), becomes: ["DepthToSpace"] },
  {
    name: "Unsqueeze and Squeeze",
    between: (model, input) => {
      model.constant("axis", int64([1], [2]));
      model.node("Unsqueeze", [input, "axis"], ["u"]).node("Squeeze", ["u", "axis"], ["m"]);
      return ["m", 4];
    },
    becomes: ["Unsqueeze", "Squeeze"],
  },
];

const integer: LayerChoice = { weight: "int8", activation: "int8" };

async function optimizedOperators(bytes: Uint8Array): Promise<string[]> {
  const path = join(folder, "optimized.onnx");
  const session = await openSession(bytes, {}, path);
  await session.release();
  return readModel(await readFile(path)).graph.node.map(({ opType }) => opType);
}

/** Runs a model all integer, compares it with the simulation, and returns the operators that onnxruntime made of it. */
async function operatorsWhenInteger(model: OnnxModel, feeds: Parameters<typeof simulate>[2]): Promise<string[]> {
  const plan = new Map(ortCpu.layers(model).map(({ node }) => [node, integer]));
  const layout = ortCpu.layout(model, plan, await observeRanges(model, feeds), { reduceRange: true });
  const bytes = writeModel(exportModel(model, layout));
  const outputs = await runOnnx(bytes, feeds, { optimization: "all" });
  const simulated = await simulate(model, layout, feeds);
  for (const { tensor, quantizer, node } of layout.edges) {
    if (node !== undefined) continue;
    const expected = simulated.get(tensor)!.data as Float32Array;
    const steps = (outputs[tensor]!.data as Float32Array).map(
      (value, i) => Math.abs(value - expected[i]!) / quantizer.scales[0]!,
    );
    expect(steps.reduce((a, b) => Math.max(a, b))).toBeLessThan(1.5);
    expect(steps.filter((step) => step > 0.5).length / steps.length).toBeLessThan(0.02);
  }
  return optimizedOperators(bytes);
}

describe("an operator between integer convolutions runs on codes", () => {
  it.each(cases)("$name", async ({ between, becomes }) => {
    const model = buildModel(17).input("x", ["N", 3, 6, 6]);
    const [middle, channels] = between(model, conv(model, "first", "x", [4, 3, 3]));
    model.output(conv(model, "second", middle, [5, channels, 1]));
    const operators = await operatorsWhenInteger(model.build(), { x: randomTensor([2, 3, 6, 6], 3) });
    const ends = ["QuantizeLinear", "QLinearConv", "QLinearConv", "DequantizeLinear"];
    expect(operators.filter((name) => name !== "Transpose").toSorted()).toEqual([...ends, ...becomes].toSorted());
  });
});
