import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { type BlockedFormat, type Format, formats, isBlocked, type LayerChoice } from "../../../src/formats.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { writeModel } from "../../../src/onnx/model.js";
import { writeModelFile } from "../../../src/onnx/model-node.js";
import type { TensorOf } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomTensor } from "../../support/tensors.js";
import { gemm, unary } from "./networks.js";
import { observeRanges, simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const blocked = (weight: BlockedFormat): LayerChoice => ({ weight, activation: "float" });
const integer: LayerChoice = { weight: "int8", activation: "int8" };

/** x [..., inputs] times a weight, on whose result a tail of operators follows. */
function product(inputs: number, rank: 2 | 3, tail: readonly string[], transB?: 0n | 1n, rows = 3) {
  const outputs = 24;
  const dims = rank === 2 ? [rows, inputs] : [2, rows, inputs];
  const model = buildModel(13, 7).input("x", dims);
  const weightDims = transB === 1n ? [outputs, inputs] : [inputs, outputs];
  model.constant("w", randomTensor(weightDims, 1)).constant("b", randomTensor([outputs], 2));
  const more = tail[0] === "bias" ? ["b"] : [];
  if (transB === undefined) model.node("MatMul", ["x", "w"], ["p"], {}, { name: "product" });
  else model.node("Gemm", ["x", "w", ...more], ["p"], { transB }, { name: "product" });
  model.constant("w2", randomTensor([outputs, 8], 3));
  let last = "p";
  for (const [i, opType] of tail.entries()) {
    if (opType === "bias") continue;
    const inputs = opType === "Add" ? [last, "b"] : opType === "MatMul" ? [last, "w2"] : [last];
    last = unary(model, opType, `tail${i}`, inputs);
  }
  return { model: model.output(last).build(), output: last, feeds: { x: randomTensor(dims, 4, -2, 2) } };
}

const cases = [
  { name: "MatMul", ...product(320, 2, []) },
  { name: "MatMul of rank 3", ...product(320, 3, []) },
  { name: "MatMul whose last block is not full", ...product(284, 3, []) },
  { name: "MatMul with an odd number of inputs", ...product(289, 2, []) },
  { name: "MatMul with an odd number of blocks", ...product(288, 3, []) },
  { name: "MatMul of one row", ...product(300, 2, [], undefined, 1) },
  { name: "MatMul of many rows", ...product(300, 2, [], undefined, 200) },
  { name: "MatMul and Add", ...product(320, 2, ["Add"]) },
  { name: "MatMul and Add of rank 3", ...product(320, 3, ["Add"]) },
  { name: "MatMul in front of Relu", ...product(320, 3, ["Relu", "MatMul"]) },
  { name: "MatMul, Add and Relu", ...product(320, 2, ["Add", "Relu", "MatMul"]) },
  { name: "MatMul in front of Sigmoid", ...product(320, 3, ["Sigmoid", "MatMul"]) },
  { name: "Gemm", ...product(320, 2, [], 0n) },
  { name: "Gemm with bias", ...product(320, 2, ["bias"], 0n) },
  { name: "Gemm with bias and a transposed weight", ...product(284, 2, ["bias", "Relu", "MatMul"], 1n) },
];

async function check(
  model: OnnxModel,
  choices: ReadonlyMap<string, LayerChoice>,
  feeds: { x: ReturnType<typeof randomTensor> },
  output: string,
  tolerance: number,
) {
  // Codes of 7 bits do not saturate sums of pairs on any processor.
  const layout = ortCpu.layout(model, choices, await observeRanges(model, feeds), { reduceRange: true });
  const exported = exportModel(model, layout);
  const path = join(folder, "model.onnx");
  await writeModelFile(exported, path);
  const expected = (await simulate(model, layout, feeds)).get(output)! as TensorOf<"float32">;
  const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const optimization of ["disabled", "all"] as const) {
    const actual = (await runOnnx(writeModel(exported), feeds, { optimization }))[output]! as TensorOf<"float32">;
    const worst = actual.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.data[i]!)), 0);
    expect(worst / largest).toBeLessThan(tolerance);
  }
  return { layout, exported, report: await inspectFusion(model, layout, path) };
}

const blockedFormats = (Object.keys(formats) as Format[]).filter((format) => format !== "float").filter(isBlocked);

describe.each(blockedFormats)("%s", (weight) => {
  it.each(cases)(
    "is what the layout says for $name, on the kernel that is planned",
    async ({ model, output, feeds }) => {
      const { report } = await check(model, new Map([["product", blocked(weight)]]), feeds, output, 2e-6);
      expect(report.asPlanned).toBe(true);
      expect(report.layers[0]).toMatchObject({ planned: "blockwise", found: "blockwise", detail: "MatMulNBits" });
    },
  );

  it.each(cases)("takes the bytes that were predicted for $name", ({ model }) => {
    const exported = exportModel(model, ortCpu.layout(model, new Map([["product", blocked(weight)]]), new Map()));
    const node = exported.graph.node.find(({ name }) => name === "product")!;
    const stored = exported.graph.initializer.filter(({ name }) => node.input.slice(1, 4).includes(name));
    const bytes = stored.reduce((sum, { rawData }) => sum + rawData.length, 0);
    const [layer] = ortCpu.layers(model);
    expect(bytes).toBe(layerBytes({ ...layer!, bias: undefined }, blocked(weight)));
    expect(exported.graph.initializer.map(({ name }) => name)).not.toContain("w");
  });

  it("takes any input, also one that exists only as codes", async () => {
    const model = buildModel(17).input("x", ["N", 32]);
    const first = unary(model, "Relu", "relu", [gemm(model, "first", "x", 256, 32)]);
    const second = gemm(model, "second", first, 48, 256);
    const built = model.output(gemm(model, "third", second, 8, 48)).build();
    const choices = new Map([
      ["first", integer],
      ["second", blocked(weight)],
      ["third", integer],
    ]);
    // A value of an integer kernel that lies between two codes may be rounded either way.
    const { report } = await check(built, choices, { x: randomTensor([4, 32], 5) }, "third.y", 2e-2);
    expect(report.asPlanned).toBe(true);
    expect(report.layers.map(({ found }) => found)).toEqual(["integer", "blockwise", "integer"]);
  });

  it("stores a weight once that two layers share", async () => {
    const model = buildModel(17)
      .input("x", [3, 256])
      .constant("w", randomTensor([256, 256], 1, -0.1, 0.1));
    model.node("MatMul", ["x", "w"], ["m"], {}, { name: "first" });
    model.node("MatMul", ["m", "w"], ["y"], {}, { name: "second" });
    const built = model.output("y").build();
    const choices = new Map(["first", "second"].map((node) => [node, blocked(weight)]));
    const { exported, report } = await check(built, choices, { x: randomTensor([3, 256], 2) }, "y", 5e-6);
    expect(report.asPlanned).toBe(true);
    expect(exported.graph.initializer).toHaveLength(3);
    const imports = exported.proto.opsetImport.map(({ domain, version }) => `${domain} ${version}`);
    expect(imports).toEqual([" 17", "com.microsoft 1"]);
  });
});

describe("blocks", () => {
  it("are offered for products alone, where they are not larger than what is summed over", () => {
    const offered = (model: OnnxModel) =>
      ortCpu.layers(model).map(({ choices }) => choices.some((choice) => choice.weight === "int4b32"));
    expect(offered(product(31, 2, []).model)).toEqual([false]);
    const conv = buildModel(17)
      .input("x", [1, 2, 4, 4])
      .constant("w", randomTensor([2, 2, 1, 1], 1))
      .node("Conv", ["x", "w"], ["y"])
      .output("y");
    expect(offered(conv.build())).toEqual([false]);
    const scaled = buildModel(17)
      .input("x", [2, 7])
      .constant("w", randomTensor([7, 5], 1))
      .node("Gemm", ["x", "w"], ["y"], { alpha: 0.5 })
      .output("y");
    expect(offered(scaled.build())).toEqual([false]);
    expect(offered(product(320, 2, []).model)).toEqual([true]);
  });

  it("round with a smaller error than one scale a channel", async () => {
    const { model, output, feeds } = product(284, 2, []);
    const float = (await runOnnx(writeModel(model), feeds))[output]!.data as Float32Array;
    const errorOf = async (weight: LayerChoice["weight"]) => {
      const layout = ortCpu.layout(model, new Map([["product", { weight, activation: "float" }]]), new Map());
      const bytes = writeModel(exportModel(model, layout));
      const actual = (await runOnnx(bytes, feeds, { optimization: "all" }))[output]!.data as Float32Array;
      return actual.reduce((sum, value, i) => sum + (value - float[i]!) ** 2, 0);
    };
    expect(await errorOf("int4b32")).toBeLessThan(await errorOf("int4"));
  });
});
