import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { PlannedLayer } from "../../../src/export/targets/target.js";
import { choiceKey, formats, isBlocked, type LayerChoice, type WeightFormat } from "../../../src/formats.js";
import { groupLayers } from "../../../src/groups.js";
import { writeModel } from "../../../src/onnx/model.js";
import { readModelFile, writeModelFile } from "../../../src/onnx/model-node.js";
import type { TensorOf } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { int64, randomTensor } from "../../support/tensors.js";
import { simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A table that embeds words and, transposed, scores them. */
function tied() {
  return buildModel(17)
    .input("words", ["N"], "int64")
    .constant("table", randomTensor([50, 48], 1))
    .node("Gather", ["table", "words"], ["embedded"], {}, { name: "embed" })
    .node("Tanh", ["embedded"], ["hidden"], {}, { name: "tanh" })
    .node("Gemm", ["hidden", "table"], ["scores"], { transB: 1n }, { name: "score" })
    .output("scores")
    .build();
}

const both = (choice: LayerChoice) => new Map(["embed", "score"].map((node) => [node, choice]));
const feeds = { words: int64([4], [3, 0, 49, 17]) };
const storable = (Object.keys(formats) as (keyof typeof formats)[]).filter(
  (format): format is WeightFormat => format !== "float" && !isBlocked(format),
);

describe("a weight that an embedding reads too", () => {
  it("is not multiplied as codes", () => {
    const [{ choices }] = ortCpu.layers(tied()) as [ReturnType<typeof ortCpu.layers>[0]];
    expect(choices.map(choiceKey).filter((key) => !key.endsWith("/float"))).toEqual([]);
  });

  it.each(storable)("is stored once as %s, for both readers, and folded at load", async (weight) => {
    const model = tied();
    const layout = ortCpu.layout(model, both({ weight, activation: "float" }), new Map());
    const exported = exportModel(model, layout);
    expect(exported.graph.initializer.map(({ name }) => name)).not.toContain("table");
    const bytes = writeModel(exported);
    const expected = (await simulate(model, layout, feeds)).get("scores")! as TensorOf<"float32">;
    const actual = (await runOnnx(bytes, feeds, { optimization: "all" })).scores! as TensorOf<"float32">;
    for (const [i, value] of actual.data.entries()) expect(value).toBeCloseTo(expected.data[i]!, 4);
    const path = join(folder, "optimized.onnx");
    await (await openSession(bytes, {}, path)).release();
    expect((await readModelFile(path)).graph.node.map(({ opType }) => opType)).toEqual(["Gather", "Tanh", "Gemm"]);
  });
});

describe("a table that embeds and scores", () => {
  it("stores blocks of codes once", async () => {
    const model = tied();
    const choice = { weight: "int4b16", activation: "float" } as const;
    const layout = ortCpu.layout(model, both(choice), new Map());
    const exported = exportModel(model, layout);
    const floats = exported.graph.initializer.filter(({ dims }) => dims.length > 1).map(({ name }) => name);
    expect(floats).toEqual(["table_int4b16", "table_scales", "table_zero_points"]);
    const path = join(folder, "tied.onnx");
    await writeModelFile(exported, path);
    const expected = (await simulate(model, layout, feeds)).get("scores")! as TensorOf<"float32">;
    for (const optimization of ["disabled", "all"] as const) {
      const actual = (await runOnnx(writeModel(exported), feeds, { optimization })).scores! as TensorOf<"float32">;
      for (const [i, value] of actual.data.entries()) expect(value).toBeCloseTo(expected.data[i]!, 4);
    }
    const { asPlanned, layers } = await inspectFusion(model, layout, path);
    expect(layers.map(({ detail }) => detail)).toEqual(["GatherBlockQuantized", "MatMulNBits"]);
    expect(asPlanned).toBe(true);
  });

  it("is one group", () => {
    expect(groupLayers(ortCpu.layers(tied())).map(({ layers }) => layers.map(({ node }) => node))).toEqual([
      ["embed", "score"],
    ]);
  });
});

describe("a table and its transposed copy", () => {
  const table = randomTensor([50, 48], 1) as TensorOf<"float32">;
  const copy = { dtype: "float32", dims: [48, 50], data: new Float32Array(table.data.length) } as const;
  for (let v = 0; v < 50; v++) for (let k = 0; k < 48; k++) copy.data[k * 50 + v] = table.data[v * 48 + k]!;
  const model = buildModel(17)
    .input("words", ["N", 2], "int64")
    .constant("table", table)
    .constant("copy", copy)
    .node("Gather", ["table", "words"], ["embedded"], {}, { name: "embed" })
    .node("Tanh", ["embedded"], ["hidden"], {}, { name: "tanh" })
    .node("MatMul", ["hidden", "copy"], ["scores"], {}, { name: "score" })
    .output("scores")
    .build();
  const words = { words: int64([2, 2], [3, 0, 49, 17]) };
  const [embed] = ortCpu.layers(model) as [PlannedLayer];

  it("are one group with the choices of both", () => {
    const groups = groupLayers(ortCpu.layers(model));
    expect(groups.map(({ id, layers }) => [id, layers.map(({ node }) => node)])).toEqual([
      ["table", ["embed", "score"]],
    ]);
    const keys = groups[0]!.choices.map(choiceKey);
    expect(keys).toEqual(expect.arrayContaining(["fp16/float", "int8/float", "int4b16/float", "int4/float"]));
    expect(keys.filter((key) => !key.endsWith("/float"))).toEqual([]);
  });

  it.each(embed.choices.map((choice) => [choiceKey(choice), choice] as const))(
    "are stored once as %s, which is what the layout says of both",
    async (_, choice) => {
      const layout = ortCpu.layout(model, both(choice), new Map());
      const exported = exportModel(model, layout);
      const stored = exported.graph.initializer.reduce((sum, { rawData }) => sum + rawData.length, 0);
      const shape = exported.graph.initializer.some(({ name }) => name.endsWith("_shape")) ? 24 : 0;
      expect(stored).toBe(layerBytes(embed, choice) + shape);
      const path = join(folder, "copies.onnx");
      await writeModelFile(exported, path);
      const expected = (await simulate(model, layout, words)).get("scores")! as TensorOf<"float32">;
      for (const optimization of ["disabled", "all"] as const) {
        const actual = (await runOnnx(writeModel(exported), words, { optimization })).scores! as TensorOf<"float32">;
        for (const [i, value] of actual.data.entries()) expect(value).toBeCloseTo(expected.data[i]!, 4);
      }
      const { asPlanned, layers } = await inspectFusion(model, layout, path);
      expect(layers.map(({ detail }) => detail)).toEqual(
        isBlocked(choice.weight as WeightFormat)
          ? ["GatherBlockQuantized", "MatMulNBits"]
          : ["float kernel", "float kernel"],
      );
      expect(asPlanned).toBe(true);
      const optimized = join(folder, "optimized.onnx");
      await (await openSession(path, {}, optimized)).release();
      const operators = (await readModelFile(optimized)).graph.node.map(({ opType }) => opType);
      expect(operators).toHaveLength(3);
    },
  );

  it("are told from a matrix that differs in one element", () => {
    const other = copy.data.slice();
    other[7]! += 1;
    const different = buildModel(17)
      .input("words", ["N", 2], "int64")
      .constant("table", table)
      .constant("copy", { ...copy, data: other })
      .node("Gather", ["table", "words"], ["embedded"])
      .node("MatMul", ["embedded", "copy"], ["scores"])
      .output("scores")
      .build();
    expect(groupLayers(ortCpu.layers(different))).toHaveLength(2);
  });
});

it("layers that sum over different axes of a weight share what has no scales", () => {
  const model = buildModel(17)
    .input("x", [3, 40])
    .constant("w", randomTensor([40, 40], 1))
    .node("MatMul", ["x", "w"], ["m"], {}, { name: "first" })
    .node("Gemm", ["m", "w"], ["y"], { transB: 1n }, { name: "second" })
    .output("y")
    .build();
  for (const { choices } of ortCpu.layers(model)) {
    expect(choices.map(choiceKey)).toEqual(["float/float", "fp16/float", "bf16/float"]);
  }
});

it("a weight that leaves the graph stays as it is", () => {
  const model = buildModel(17)
    .input("x", [3, 40])
    .constant("w", randomTensor([40, 40], 1))
    .node("MatMul", ["x", "w"], ["y"])
    .output("y")
    .output("w", [40, 40])
    .build();
  expect(ortCpu.layers(model)[0]!.choices.map(choiceKey)).toEqual(["float/float"]);
});
