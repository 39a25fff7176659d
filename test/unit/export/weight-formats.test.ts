import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { formats, isBlocked, type LayerChoice, type WeightFormat } from "../../../src/formats.js";
import { Graph } from "../../../src/onnx/graph.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { writeModel } from "../../../src/onnx/model.js";
import { modelFileBytes, readModelFile, writeModelFile } from "../../../src/onnx/model-node.js";
import { elementCount, type TensorOf } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomTensor } from "../../support/tensors.js";
import { conv, gemm, mixedNetwork, unary } from "./networks.js";
import { simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const weightFormats = (Object.keys(formats) as (keyof typeof formats)[]).filter(
  (format): format is WeightFormat => format !== "float" && !isBlocked(format),
);

function everyWeight(model: OnnxModel, weight: WeightFormat): Map<string, LayerChoice> {
  return new Map(ortCpu.layers(model).map(({ node }) => [node, { weight, activation: "float" }]));
}

/** A layer of every operator, each with a weight of some size. */
function everyOperator(): OnnxModel {
  const model = buildModel(11, 6).input("x", ["N", 8, 8, 8]);
  const first = unary(model, "Relu", "relu", [conv(model, "conv", "x", [32, 8, 3])]);
  const depthwise = conv(model, "depthwise", first, [32, 32, 3], { group: 32 });
  model.constant("up.w", randomTensor([32, 12, 2, 2], 3));
  model.node("ConvTranspose", [depthwise, "up.w"], ["up.y"], { strides: [2n, 2n] }, { name: "up" });
  const pooled = unary(model, "Flatten", "flat", [unary(model, "GlobalAveragePool", "pool", ["up.y"])]);
  const product = gemm(model, "gemm", pooled, 24, 12);
  model.constant("matmul.w", randomTensor([24, 40], 4)).constant("matmul.b", randomTensor([40], 5));
  model.node("MatMul", [product, "matmul.w"], ["p"], {}, { name: "matmul" });
  model.node("Add", ["p", "matmul.b"], ["y"], {}, { name: "add" });
  return model.output("y", ["N", 40]).build();
}

const feeds = { x: randomTensor([2, 8, 8, 8], 1, -2, 2) };

describe.each(weightFormats)("weights stored as %s for float kernels", (weight) => {
  const model = everyOperator();
  const layout = ortCpu.layout(model, everyWeight(model, weight), new Map());
  const exported = exportModel(model, layout);

  it("mean what the layout says", async () => {
    const expected = (await simulate(model, layout, feeds)).get("y")! as TensorOf<"float32">;
    for (const optimization of ["disabled", "all"] as const) {
      const actual = (await runOnnx(writeModel(exported), feeds, { optimization })).y! as TensorOf<"float32">;
      const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [i, value] of actual.data.entries())
        expect(Math.abs(value - expected.data[i]!)).toBeLessThan(1e-5 * largest);
    }
  });

  it("are folded at load, so that the session runs the float model's operators", async () => {
    const operators = async (bytes: Uint8Array) => {
      const path = join(folder, "optimized.onnx");
      const session = await openSession(bytes, {}, path);
      await session.release();
      return (await readModelFile(path)).graph.node.map(({ opType }) => opType);
    };
    expect(await operators(writeModel(exported))).toEqual(await operators(writeModel(model)));
  });

  it("are seen to run on float kernels", async () => {
    const path = join(folder, `${weight}.onnx`);
    await writeModelFile(exported, path);
    const report = await inspectFusion(model, layout, path);
    expect(report.asPlanned).toBe(true);
    expect(report.layers.map(({ planned, found }) => `${planned} ${found}`)).toEqual(Array(5).fill("float float"));
  });

  it("take the bytes that the cost model says", () => {
    const graph = new Graph(exported);
    const stored = (name: string): number => {
      const producer = graph.producer(name);
      if (producer !== undefined) return producer.input.reduce((sum, input) => sum + stored(input), 0);
      return graph.proto.initializer.find((tensor) => tensor.name === name)!.rawData.length;
    };
    for (const layer of ortCpu.layers(model)) {
      const input = graph.nodes.find(({ name }) => name === layer.node)!.input[layer.weight.port]!;
      expect(stored(input)).toBe(layerBytes({ ...layer, bias: undefined }, { weight, activation: "float" }));
    }
  });

  it("go to external data", async () => {
    const path = join(folder, `${weight}-external.onnx`);
    await writeModelFile(exported, path, { externalAbove: 0 });
    expect(await modelFileBytes(path)).toBeGreaterThan((await stat(path)).size);
    const session = await openSession(path);
    const { y } = await session.run(feeds);
    await session.release();
    expect(y!.data).toEqual((await runOnnx(writeModel(exported), feeds, { optimization: "all" })).y!.data);
  });

  it("have no integer activations beside them unless a kernel takes both", () => {
    const withIntegers = ortCpu
      .layers(model)
      .filter(({ choices }) => choices.some((choice) => choice.weight === weight && choice.activation !== "float"));
    expect(withIntegers.length > 0).toBe(weight === "int8" || weight === "int4");
  });
});

it.each([
  { weight: "fp16", relative: 2 ** -11 },
  { weight: "bf16", relative: 2 ** -8 },
  { weight: "fp8e4m3", relative: 2 ** -4 },
  { weight: "fp8e5m2", relative: 2 ** -3 },
] as const)("the layout's $weight is off by half a step of its mantissa at most", async ({ weight, relative }) => {
  const model = everyOperator();
  const exported = exportModel(model, ortCpu.layout(model, everyWeight(model, weight), new Map()));
  const [name] = new Graph(exported).nodes.find(({ name }) => name === "conv")!.input.slice(1);
  exported.graph.output.push({ ...exported.graph.output[0]!, name: name!, type: undefined as never });
  const values = (await runOnnx(writeModel(exported), feeds))[name!]!.data as Float32Array;
  const { data } = new Graph(model).constant("conv.w") as TensorOf<"float32">;
  const peak = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of values.entries()) {
    const step = Math.max(Math.abs(data[i]!), peak * 2 ** -12) * relative * 1.001;
    expect(Math.abs(value - data[i]!)).toBeLessThanOrEqual(step);
  }
});

it("half the bytes of a float file are left with fp16, a quarter with fp8", () => {
  const model = mixedNetwork();
  const sizeWith = (weight: WeightFormat) =>
    writeModel(exportModel(model, ortCpu.layout(model, everyWeight(model, weight), new Map()))).length;
  const float = writeModel(model).length;
  const elements = ortCpu.layers(model).reduce((sum, { weight }) => sum + elementCount(weight.dims), 0);
  // One node a layer, two with scales, and the names of both.
  expect(float - sizeWith("fp16")).toBeGreaterThan(2 * elements - 150 * 9);
  expect(float - sizeWith("fp8e4m3")).toBeGreaterThan(3 * elements - 450 * 9);
});

it.each([
  { weight: "fp16", opset: 13 },
  { weight: "bf16", opset: 13 },
  { weight: "int16", opset: 13 },
  { weight: "fp8e4m3", opset: 19 },
  { weight: "fp8e5m2", opset: 19 },
  { weight: "int4", opset: 21 },
] as const)("a model of operator set 11 with $weight weights becomes one of set $opset", ({ weight, opset }) => {
  const model = everyOperator();
  const { proto } = exportModel(model, ortCpu.layout(model, everyWeight(model, weight), new Map()));
  expect(Number(proto.opsetImport[0]!.version)).toBe(opset);
});
