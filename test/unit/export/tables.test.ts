import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { EngineModel } from "../../../src/evaluate/engine-model.js";
import { Simulator } from "../../../src/evaluate/simulator.js";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { choiceKey, type LayerChoice } from "../../../src/formats.js";
import { type OnnxModel, writeModel } from "../../../src/onnx/model.js";
import { readModelFile, writeModelFile } from "../../../src/onnx/model-node.js";
import type { Feeds, TensorOf } from "../../../src/tensor.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { int64, randomTensor } from "../../support/tensors.js";
import { simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Case {
  readonly name: string;
  readonly model: OnnxModel;
  readonly feeds: Feeds;
  /** What a session runs while the table is packed. */
  readonly packed?: string;
  /** Whether rows of two codes a byte would not end with one. */
  readonly ofBytes?: true;
}

const words = { words: int64([2, 3], [3, 0, 49, 17, 3, 3]) };

const embedding = (width: number, type: "int64" | "int32" = "int64"): OnnxModel =>
  buildModel(11, 6)
    .input("words", ["N", 3], type)
    .constant("table", randomTensor([50, width], 1, -0.3, 0.5))
    .node("Gather", ["table", "words"], ["y"], {}, { name: "table" })
    .output("y")
    .build();

const bounds = int64([1], [0]);

const cases: readonly Case[] = [
  { name: "an embedding", model: embedding(48), feeds: words, packed: "GatherBlockQuantized" },
  { name: "an embedding of whole blocks", model: embedding(256), feeds: words, packed: "GatherBlockQuantized" },
  {
    name: "an embedding with a last block that is not full",
    model: embedding(274),
    feeds: words,
    packed: "GatherBlockQuantized",
  },
  {
    name: "an embedding with an odd number of columns",
    model: embedding(33),
    feeds: words,
    packed: "GatherBlockQuantized",
    ofBytes: true,
  },
  {
    name: "columns",
    model: buildModel(17)
      .input("words", [2, 3], "int64")
      .constant("table", randomTensor([30, 50], 1))
      .node("Gather", ["table", "words"], ["y"], { axis: 1n }, { name: "table" })
      .output("y")
      .build(),
    feeds: words,
  },
  {
    name: "positions",
    model: buildModel(17)
      .input("end", [1], "int64")
      .constant("start", bounds)
      .constant("table", randomTensor([64, 40], 1))
      .node("Slice", ["table", "start", "end", "start"], ["y"], {}, { name: "table" })
      .output("y")
      .build(),
    feeds: { end: int64([1], [9]) },
  },
  {
    name: "what is added",
    model: buildModel(17)
      .input("x", ["N", 30, 40])
      .constant("table", randomTensor([1, 30, 40], 1))
      .node("Add", ["table", "x"], ["y"], {}, { name: "table" })
      .output("y")
      .build(),
    feeds: { x: randomTensor([2, 30, 40], 2) },
  },
];

describe.each(cases)("a table of $name", ({ model, feeds, packed, ofBytes }) => {
  const [layer] = ortCpu.layers(model) as [ReturnType<typeof ortCpu.layers>[0]];
  const layoutOf = (choice: LayerChoice) => ortCpu.layout(model, new Map([["table", choice]]), new Map());
  const narrow = layer.choices.filter(({ weight }) => weight !== "float");

  it("can be stored in formats of every width, and nothing around it is quantized", () => {
    expect(layer.inputs).toEqual([]);
    expect(ortCpu.observedTensors(model)).toEqual([]);
    expect(narrow.every(({ activation }) => activation === "float")).toBe(true);
    expect(narrow.map(({ weight }) => weight)).toEqual(expect.arrayContaining(["fp16", "int8", "int4"]));
  });

  it.each(narrow.map((choice) => [choiceKey(choice), choice] as const))(
    "as %s is what the layout says, in the engine too, and is never dequantized as a whole",
    async (_, choice) => {
      const layout = layoutOf(choice);
      const exported = exportModel(model, layout);
      const expected = (await simulate(model, layout, feeds)).get("y")! as TensorOf<"float32">;
      for (const optimization of ["disabled", "all"] as const) {
        const { y } = await runOnnx(writeModel(exported), feeds, { optimization });
        expect(y).toEqual(expected);
      }
      const engine = await EngineModel.create(backend, model);
      try {
        const simulator = new Simulator(engine, model);
        await simulator.apply(layout);
        await engine.run(feeds);
        expect((await simulator.readOutputs()).y).toEqual(expected);
      } finally {
        await engine.dispose();
      }
      const path = join(folder, "table.onnx");
      await writeModelFile(exported, path);
      expect((await inspectFusion(model, layout, path)).asPlanned).toBe(true);
      const optimized = join(folder, "optimized.onnx");
      await (await openSession(path, {}, optimized)).release();
      const operators = (await readModelFile(optimized)).graph.node.map(({ opType }) => opType);
      const narrowest = ofBytes ? /^int8/ : /^int[48]/;
      const isPacked = packed !== undefined && narrowest.test(choice.weight);
      expect(operators).toEqual([isPacked ? packed : layer.op]);
    },
  );

  it("takes the bytes that were predicted", () => {
    for (const choice of layer.choices) {
      const { graph } = exportModel(model, layoutOf(choice));
      const own = graph.initializer.filter(({ name }) => name !== "start");
      const bytes = own.reduce((sum, { rawData }) => sum + rawData.length, 0);
      expect(layerBytes(layer, choice), choiceKey(choice)).toBe(bytes);
    }
  });
});

describe("tables", () => {
  const namesOf = (model: OnnxModel) => ortCpu.layers(model).map(({ node }) => node);

  it("take indices of 32 bits", async () => {
    const model = embedding(48, "int32");
    const layout = ortCpu.layout(model, new Map([["table", { weight: "int4b16", activation: "float" }]]), new Map());
    const feeds = { words: { dtype: "int32", dims: [1, 3], data: Int32Array.of(7, 49, 0) } } as const;
    const expected = (await simulate(model, layout, feeds)).get("y");
    expect((await runOnnx(writeModel(exportModel(model, layout)), feeds)).y).toEqual(expected);
  });

  it("are not what is small, not finite, read as something else, or an output of the graph", () => {
    const small = buildModel(17)
      .input("words", [2], "int64")
      .constant("table", randomTensor([30, 30], 1))
      .node("Gather", ["table", "words"], ["y"])
      .output("y");
    expect(namesOf(small.build())).toEqual([]);
    const mask = randomTensor([40, 40], 1) as TensorOf<"float32">;
    mask.data[7] = Number.NEGATIVE_INFINITY;
    const infinite = buildModel(17)
      .input("x", [40, 40])
      .constant("table", mask)
      .node("Add", ["x", "table"], ["y"])
      .output("y");
    expect(namesOf(infinite.build())).toEqual([]);
    const multiplied = buildModel(17)
      .input("words", [2], "int64")
      .constant("table", randomTensor([40, 40], 1))
      .node("Gather", ["table", "words"], ["rows"])
      .node("Exp", ["table"], ["e"])
      .node("MatMul", ["rows", "e"], ["y"], {}, { name: "scores" })
      .output("y");
    expect(namesOf(multiplied.build())).toEqual([]);
    const leaving = embedding(48);
    leaving.graph.output.push({ ...leaving.graph.output[0]!, name: "table" });
    expect(ortCpu.layers(leaving)[0]!.choices.map(choiceKey)).toEqual(["float/float"]);
  });

  it("that several nodes read are one group, stored once", async () => {
    const model = buildModel(17)
      .input("words", [2, 3], "int64")
      .constant("table", randomTensor([50, 48], 1))
      .node("Gather", ["table", "words"], ["a"], {}, { name: "first" })
      .node("Gather", ["table", "words"], ["b"], {}, { name: "second" })
      .node("Add", ["a", "b"], ["y"])
      .output("y")
      .build();
    const choice = { weight: "int8", activation: "float" } as const;
    const layout = ortCpu.layout(model, new Map(["first", "second"].map((node) => [node, choice])), new Map());
    const exported = exportModel(model, layout);
    expect(exported.graph.initializer.map(({ name }) => name)).toEqual(["table_int8", "table_scales"]);
    const { y } = await runOnnx(writeModel(exported), words, { optimization: "all" });
    expect(y).toEqual((await simulate(model, layout, words)).get("y"));
  });
});
