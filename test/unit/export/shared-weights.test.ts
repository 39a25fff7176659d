import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
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
