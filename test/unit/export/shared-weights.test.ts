import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { choiceKey, formats, isBlocked, type WeightFormat } from "../../../src/formats.js";
import { writeModel } from "../../../src/onnx/model.js";
import { readModelFile } from "../../../src/onnx/model-node.js";
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

const feeds = { words: int64([4], [3, 0, 49, 17]) };
const storable = (Object.keys(formats) as (keyof typeof formats)[]).filter(
  (format): format is WeightFormat => format !== "float" && !isBlocked(format),
);

describe("a weight that an embedding reads too", () => {
  it("is not multiplied as codes", () => {
    const [{ choices }] = ortCpu.layers(tied()) as [ReturnType<typeof ortCpu.layers>[0]];
    expect(choices.map(choiceKey)).toEqual(["float/float", ...storable.map((format) => `${format}/float`)]);
  });

  it.each(storable)("is stored once as %s, for both readers, and folded at load", async (weight) => {
    const model = tied();
    const layout = ortCpu.layout(model, new Map([["score", { weight, activation: "float" }]]), new Map());
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
