import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { layerMacs } from "../../../src/cost/macs.js";
import { EngineModel } from "../../../src/evaluate/engine-model.js";
import { Simulator } from "../../../src/evaluate/simulator.js";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { choiceKey, type LayerChoice } from "../../../src/formats.js";
import { type OnnxModel, writeModel } from "../../../src/onnx/model.js";
import { writeModelFile } from "../../../src/onnx/model-node.js";
import type { Feeds, TensorOf } from "../../../src/tensor.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { int64, randomTensor } from "../../support/tensors.js";
import { conv, unary } from "./networks.js";
import { observeRanges, simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const heads = 2;
const length = 5;
const width = 16;

/** Attention as exporters write it: projections, heads split and joined, a residual sum. */
function attention(): OnnxModel {
  const model = buildModel(17).input("x", ["N", length, width]);
  // Codes of 7 bits do not saturate sums of pairs on any processor, so small ranges keep both sides comparable.
  for (const [i, name] of ["q", "k", "v", "o"].entries()) {
    model.constant(`${name}.w`, randomTensor([width, width], 10 + i, -0.4, 0.4));
  }
  model
    .constant("split", int64([4], [0, length, heads, width / heads]))
    .constant("join", int64([3], [0, length, width]));
  for (const [name, perm] of [
    ["q", [0n, 2n, 1n, 3n]],
    ["k", [0n, 2n, 3n, 1n]],
    ["v", [0n, 2n, 1n, 3n]],
  ] as const) {
    model.node("MatMul", ["x", `${name}.w`], [`${name}.p`], {}, { name });
    model.node("Reshape", [`${name}.p`, "split"], [`${name}.s`]);
    model.node("Transpose", [`${name}.s`], [`${name}.t`], { perm: [...perm] });
  }
  model.node("MatMul", ["q.t", "k.t"], ["scores"], {}, { name: "qk" });
  model.node("Softmax", ["scores"], ["p"], { axis: -1n });
  model.node("MatMul", ["p", "v.t"], ["mixed"], {}, { name: "pv" });
  model.node("Transpose", ["mixed"], ["mixed.t"], { perm: [0n, 2n, 1n, 3n] });
  model.node("Reshape", ["mixed.t", "join"], ["joined"]);
  model.node("MatMul", ["joined", "o.w"], ["o.p"], {}, { name: "o" });
  return model.node("Add", ["x", "o.p"], ["y"]).output("y").build();
}

const feeds = { x: randomTensor([2, length, width], 1, -1, 1) };
const float: LayerChoice = { weight: "float", activation: "float" };
const product: LayerChoice = { weight: "float", activation: "int8" };
const integer: LayerChoice = { weight: "int8", activation: "int8" };

async function check(model: OnnxModel, feeds: Feeds, choices: ReadonlyMap<string, LayerChoice>, output: string) {
  const layout = ortCpu.layout(model, choices, await observeRanges(model, feeds), { reduceRange: true });
  const exported = exportModel(model, layout);
  const path = join(folder, "model.onnx");
  await writeModelFile(exported, path);
  const expected = (await simulate(model, layout, feeds)).get(output)! as TensorOf<"float32">;
  const actual = (await runOnnx(writeModel(exported), feeds, { optimization: "all" }))[output]! as TensorOf<"float32">;
  const engine = await EngineModel.create(backend, model);
  try {
    const simulator = new Simulator(engine, model);
    await simulator.apply(layout);
    await engine.run(feeds);
    const simulated = (await simulator.readOutputs())[output]! as TensorOf<"float32">;
    const exact = (await runOnnx(writeModel(model), feeds))[output]! as TensorOf<"float32">;
    return {
      layout,
      report: await inspectFusion(model, layout, path),
      error: distance(actual, expected),
      engineError: distance(simulated, expected),
      change: distance(exact, expected),
    };
  } finally {
    await engine.dispose();
  }
}

function distance(actual: TensorOf<"float32">, expected: TensorOf<"float32">): number {
  const error = actual.data.reduce((sum, value, i) => sum + (value - expected.data[i]!) ** 2, 0);
  return Math.sqrt(error / expected.data.reduce((sum, value) => sum + value ** 2, 0));
}

describe("products of two activations", () => {
  const model = attention();
  const layers = new Map(ortCpu.layers(model).map((layer) => [layer.node, layer]));

  it("have a choice for both of their inputs together, no bytes, and the work of what they sum over", () => {
    expect([...layers.keys()]).toEqual(["q", "k", "v", "qk", "pv", "o"]);
    const qk = layers.get("qk")!;
    expect(qk.choices.map(choiceKey)).toEqual(["float/float", "float/int8"]);
    expect(qk.inputs.map(({ tensor }) => tensor)).toEqual(["q.t", "k.t"]);
    expect(layerBytes(qk, product)).toBe(0);
    const shapes = new Map([
      ["scores", [1, heads, length, length]],
      ["q.t", [1, heads, length, width / heads]],
    ]);
    expect(layerMacs(qk, shapes)).toBe(heads * length * length * (width / heads));
  });

  it.each([
    { name: "the scores alone", integers: ["qk"] },
    { name: "the mixture alone", integers: ["pv"] },
    { name: "both", integers: ["qk", "pv"] },
    { name: "both between integer projections", integers: ["q", "k", "v", "qk", "pv", "o"] },
    { name: "the projections alone", integers: ["q", "k", "v", "o"] },
    { name: "some of each", integers: ["q", "v", "qk", "o"] },
  ])("run on the kernels that are planned: $name", async ({ integers }) => {
    const choices = new Map(
      [...layers.values()].map(({ node, weight }) => {
        const choice = !integers.includes(node) ? float : weight === undefined ? product : integer;
        return [node, choice] as const;
      }),
    );
    const { report, error, engineError, change } = await check(model, feeds, choices, "y");
    expect(report.layers.filter(({ found }) => found === "integer").map(({ node }) => node)).toEqual(
      [...layers.keys()].filter((node) => integers.includes(node)),
    );
    expect(report.asPlanned).toBe(true);
    // Values that lie between two codes may be rounded either way.
    expect(error).toBeLessThan(5e-3);
    expect(engineError).toBeLessThan(5e-3);
    expect(change).toBeGreaterThan(1e-4);
  });

  it("are computed on codes where both inputs exist only as codes", async () => {
    const net = buildModel(17).input("x", [2, 4, 3, 3]);
    const left = unary(net, "Flatten", "left.f", [conv(net, "left", "x", [6, 4, 1])]);
    const right = unary(net, "Flatten", "right.f", [conv(net, "right", "x", [6, 4, 1])]);
    const turned = unary(net, "Transpose", "turned", [right], { perm: [1n, 0n] });
    const built = net.output(unary(net, "MatMul", "product", [left, turned])).build();
    const input = { x: randomTensor([2, 4, 3, 3], 3) };
    const convolutions = new Map(["left", "right"].map((node) => [node, integer]));
    for (const choice of [float, product]) {
      const { report, error } = await check(built, input, new Map([...convolutions, ["product", choice]]), "product.y");
      expect(report.layers.map(({ found }) => found)).toEqual(["integer", "integer", "integer"]);
      expect(report.asPlanned).toBe(true);
      expect(error).toBeLessThan(5e-3);
    }
  });

  it("are not products of what holds no floats", () => {
    const whole = buildModel(17)
      .input("a", [2, 2], "int32")
      .input("b", [2, 2], "int32")
      .node("MatMul", ["a", "b"], ["y"])
      .output("y", undefined, "int32");
    expect(ortCpu.layers(whole.build())).toEqual([]);
  });
});
