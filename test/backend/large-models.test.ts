import { afterEach, describe, expect, it, vi } from "vitest";
import type { Analysis } from "../../src/analysis.js";
import { analyze } from "../../src/analyze.js";
import { Graph } from "../../src/backend/graph.js";
import type { GraphOptions } from "../../src/backend/graph-types.js";
import { bindingOf } from "../../src/binding.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import type { BitwrightError } from "../../src/errors.js";
import { EngineModel } from "../../src/evaluate/engine-model.js";
import { exportModel } from "../../src/export/qdq.js";
import { cleanModel } from "../../src/onnx/clean/index.js";
import { cloneMessage } from "../../src/onnx/clone.js";
import { setLazyBytes } from "../../src/onnx/lazy-bytes.js";
import { type OnnxModel, readModel, writeModel } from "../../src/onnx/model.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { type RunOptions, resolveOptions } from "../../src/options.js";
import { searchPlan } from "../../src/search-plan.js";
import type { CriterionName } from "../../src/sensitivity/index.js";
import { openWorkspace } from "../../src/workspace.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { float32, randomFloats } from "../support/tensors.js";

const [samples, positions, width, classes] = [24, 16, 64, 10];

const model = buildModel(17)
  .input("x", ["N", positions, width])
  .constant("first.w", float32([width, width], randomFloats(width * width, 1, -0.2, 0.2)))
  .constant("first.b", float32([width], randomFloats(width, 2)))
  .constant("second.w", float32([width, width], randomFloats(width * width, 3, -0.2, 0.2)))
  .constant("last.w", float32([classes, width], randomFloats(width * classes, 4, -0.2, 0.2)))
  .node("MatMul", ["x", "first.w"], ["a"], {}, { name: "first" })
  .node("Add", ["a", "first.b"], ["b"])
  .node("Tanh", ["b"], ["c"])
  .node("MatMul", ["c", "second.w"], ["d"], {}, { name: "second" })
  .node("Tanh", ["d"], ["e"])
  .node("Transpose", ["last.w"], ["last.w_t"], { perm: [1n, 0n] })
  .node("MatMul", ["e", "last.w_t"], ["logits"], {}, { name: "last" })
  .output("logits", ["N", positions, classes])
  .build();
const weightBytes = 4 * width * (2 * width + classes);

/** The model with weights that are read from elsewhere each time, and how often each was. */
function leftInFile({ proto }: OnnxModel) {
  const copy = cloneMessage(proto);
  const reads = new Map<string, number>();
  for (const tensor of copy.graph!.initializer) {
    const bytes = tensor.rawData;
    setLazyBytes(tensor, {
      length: bytes.length,
      read(begin = 0, end = bytes.length) {
        reads.set(tensor.name, (reads.get(tensor.name) ?? 0) + 1);
        // Never the same memory, as after reading a file again.
        return bytes.slice(begin, end);
      },
    });
  }
  return { model: { proto: copy, graph: copy.graph! }, reads };
}

const x = randomFloats(samples * positions * width, 5, -2, 2);
const dataset = await datasetFrom(
  { x: float32([samples, positions, width], x) },
  { splits: { calibration: [0, 8], search: [8, 16], verify: [16, 24] }, metric: "kl" },
);

async function analyzed(
  of: OnnxModel,
  options: RunOptions,
  criteria: CriterionName[],
  data = dataset,
): Promise<Analysis> {
  const run = resolveOptions({ threads: 1, arithmetic: "strict", probes: 4, ...options });
  await using workspace = await openWorkspace(backend, of, data, run);
  const analysis = await analyze(workspace, { criteria, binding: await bindingOf(of, data, run) });
  return { ...analysis, seconds: {} };
}

const opened: EngineModel[] = [];
afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.dispose();
});
async function open(of: OnnxModel, options: GraphOptions = {}): Promise<EngineModel> {
  const engine = await EngineModel.create(backend, of, options);
  opened.push(engine);
  return engine;
}

const wide = float32([8, positions, width], x.slice(0, 8 * positions * width));

describe("weights that are left in their file", () => {
  it("compute the same, each held once by the engine", async () => {
    const { model: lazy, reads } = leftInFile(model);
    const whole = await open(cleanModel(model).model);
    const clean = cleanModel(lazy).model;
    reads.clear();
    const left = await open(clean);
    expect(reads.size).toBe(0);
    await whole.run({ x: wide });
    await left.run({ x: wide });
    expect(await left.readOutputs()).toEqual(await whole.readOutputs());
    const once = new Map(reads);
    expect([...once]).toEqual([...once].map(([name]) => [name, 1]));
    await left.run({ x: wide });
    expect(reads).toEqual(once);

    const other = randomFloats(width * width, 9);
    for (const engine of [whole, left]) await engine.setConstant("second.w", other);
    await whole.run({ x: wide });
    await left.run({ x: wide });
    expect(await left.readOutputs()).toEqual(await whole.readOutputs());
    for (const engine of [whole, left]) await engine.setConstant("second.w", undefined);
    await whole.run({ x: wide });
    await left.run({ x: wide });
    expect(await left.readOutputs()).toEqual(await whole.readOutputs());
    expect(reads.get("second.w")).toBe(2);
  });

  it("are asked for by a run that has none", async () => {
    const { program, tensors, leftOut } = encodeProgram(leftInFile(model).model, { leaveOut: true });
    expect([...leftOut.keys()]).toEqual(["first.w", "first.b", "second.w", "last.w"]);
    await using graph = await Graph.create(backend, program);
    await expect(graph.run(new Map([[tensors.indexOf("x"), wide]]))).rejects.toThrowError("'first.w'");
  });

  it("give the same analysis and the same file", async () => {
    const { model: lazy } = leftInFile(model);
    const criteria: CriterionName[] = ["curvature", "quantization-error", "direct"];
    const options = { formats: ["fp16", "int8", "int4b32", "int4"] } as const;
    const known = await analyzed(model, options, criteria);
    expect(await analyzed(lazy, options, criteria)).toEqual(known);
    const files: Uint8Array[] = [];
    for (const of of [model, lazy]) {
      const run = resolveOptions({ threads: 1, ...options });
      await using workspace = await openWorkspace(backend, of, dataset, run);
      const limits = { maxSize: { share: 0.4 } };
      const { layout, result } = await searchPlan(workspace, known, { limits, criterion: "curvature" });
      files.push(writeModel(exportModel(workspace.model, layout(result.assignment))));
    }
    expect(files[1]).toEqual(files[0]);
    expect(readModel(files[0]!).graph.initializer.length).toBeGreaterThan(3);
  });

  it("have the same curvature where a linear operator reads them, as a table of positions", async () => {
    const table = buildModel(17)
      .input("x", ["N", positions, width])
      .constant("table", float32([positions, width], randomFloats(positions * width, 6)))
      .constant("last.w", float32([width, classes], randomFloats(width * classes, 7, -0.2, 0.2)))
      .node("Add", ["x", "table"], ["a"], {}, { name: "positions" })
      .node("Tanh", ["a"], ["b"])
      .node("MatMul", ["b", "last.w"], ["logits"], {}, { name: "last" })
      .output("logits", ["N", positions, classes])
      .build();
    const options = { formats: ["fp16", "int8"], rounding: "nearest" } as const;
    const known = await analyzed(table, options, ["hessian-trace"]);
    expect(known.criteria["hessian-trace"]!["positions/weight"]!.trace).toBeGreaterThan(0);
    expect(await analyzed(leftInFile(table).model, options, ["hessian-trace"])).toEqual(known);
  });

  it("need not fit into the engine for what is known of weights alone", async () => {
    const options = { formats: ["fp16", "int4b32", "int4"], rounding: "nearest", memory: weightBytes / 4 } as const;
    const { model: lazy } = leftInFile(withoutBias());
    const known = await analyzed(withoutBias(), { ...options, memory: 1e9 }, ["quantization-error"]);
    expect(await analyzed(lazy, options, ["quantization-error"])).toEqual(known);
    expect(Object.keys(known.criteria["quantization-error"]!)).toEqual([
      "first/weight",
      "second/weight",
      "last/weight",
    ]);
    await expect(analyzed(lazy, options, ["direct"])).rejects.toMatchObject({ code: "out-of-memory" });
  });
});

/** With a bias, rounding shifts it by what a run says. */
function withoutBias(): OnnxModel {
  const proto = cloneMessage(model.proto);
  proto.graph!.node[1]!.input[1] = "a";
  return readModel(writeModel({ proto, graph: proto.graph! }));
}

describe("a budget of memory", () => {
  it("changes nothing but how much is done at once", async () => {
    const options = { batchSize: 8, rounding: "nearest", formats: ["fp16", "int8"] } as const;
    const criteria: CriterionName[] = ["curvature", "quantization-error", "direct", "hessian-trace"];
    const free = await analyzed(model, options, criteria);
    const activation = 4 * positions * width;
    // Not enough for a batch of eight with everything kept, as derivatives need.
    const memory = weightBytes + 44 * activation;
    const engine = await open(cleanModel(model).model, { memory });
    await expect(engine.run({ x: wide }, { keep: true })).rejects.toMatchObject({ code: "out-of-memory" });
    const tight = await analyzed(model, { ...options, memory }, criteria);
    expect(tight).toEqual(free);
  });

  it("does less at once, and is refused in the end, where products of activations are among the layers", async () => {
    const product = buildModel(17)
      .input("x", ["N", positions, width])
      .constant("w", float32([width, width], randomFloats(width * width, 1, -0.2, 0.2)))
      .node("MatMul", ["x", "w"], ["a"], {}, { name: "first" })
      .node("Transpose", ["a"], ["t"], { perm: [0n, 2n, 1n] })
      .node("MatMul", ["a", "t"], ["logits"], {}, { name: "product" })
      .output("logits", ["N", positions, positions])
      .build();
    const options = { formats: ["fp16", "int8"], rounding: "nearest" } as const;
    const free = await analyzed(product, options, ["curvature"]);
    const within = (memory: number) => analyzed(product, { ...options, memory }, ["curvature"]);
    expect(await within(4 * width * width + 160_000)).toEqual(free);
    await expect(within(4 * width * width + 20_000)).rejects.toMatchObject({ code: "out-of-memory" });
  });

  const layers = 24;
  const deep = Array.from({ length: layers })
    .reduce(
      (builder: ReturnType<typeof buildModel>, _, i) =>
        builder
          .node("MatMul", [`h${i}`, "w"], [`a${i}`], {}, { name: `layer${i}` })
          .node("Tanh", [`a${i}`], [`h${i + 1}`]),
      buildModel(17)
        .input("h0", ["N", positions, width])
        .constant("w", float32([width, width], randomFloats(width * width, 1, -0.2, 0.2))),
    )
    .constant("last.w", float32([width, classes], randomFloats(width * classes, 7, -0.2, 0.2)))
    .node("MatMul", [`h${layers}`, "last.w"], ["logits"], {}, { name: "last" })
    .output("logits", ["N", positions, classes])
    .build();
  const deepData = datasetFrom(
    { h0: float32([samples, positions, width], x) },
    { splits: { calibration: [0, 4], search: [4, 8], verify: [8, 12] }, metric: "kl" },
  );
  const layerBytes = 2 * 4 * positions * width;
  const deepWeights = 4 * width * (width + classes);

  it.each<[CriterionName, number]>([
    ["curvature", 14],
    ["gauss-newton", 16],
    ["hessian", 27],
    ["hessian-trace", 36],
    ["loss-mse", 18],
  ])("has %s recompute activations where one sample's are too many", async (name, layersAtOnce) => {
    const options = { batchSize: 2, formats: ["fp16", "int8"], samples: 2, rounding: "nearest" } as const;
    const free = await analyzed(deep, options, [name], await deepData);
    const runs = vi.spyOn(Graph.prototype, "run");
    const memory = deepWeights + layersAtOnce * layerBytes;
    expect(await analyzed(deep, { ...options, memory }, [name], await deepData)).toEqual(free);
    expect(runs.mock.calls.map(([, options]) => options?.keep)).toContain("segments");
    runs.mockRestore();
  });

  it("that is refused names one that would do", async () => {
    const options = { batchSize: 2, formats: ["fp16", "int8"], samples: 2, rounding: "nearest" } as const;
    const analyze = (memory: number) =>
      deepData.then((data) => analyzed(deep, { ...options, memory }, ["curvature"], data));
    let memory = deepWeights + layerBytes;
    let refusals = 0;
    for (;;) {
      const refused = await analyze(memory).then(
        () => undefined,
        (error: BitwrightError) => error,
      );
      if (refused === undefined) break;
      const [, kilobytes] = /^(?:about|at least) (.*)kB$/.exec(refused.expected ?? "") ?? [];
      expect(Number(kilobytes) * 1e3).toBeGreaterThan(memory);
      memory = Number(kilobytes) * 1e3;
      refusals++;
    }
    expect(refusals).toBeGreaterThan(0);
    await expect(analyze(Math.floor(memory / 1.5))).rejects.toMatchObject({ code: "out-of-memory", where: "memory" });
  });

  it("is refused when one sample alone does not fit", async () => {
    await expect(analyzed(model, { memory: weightBytes + 2000 }, ["curvature"])).rejects.toMatchObject({
      code: "out-of-memory",
      where: "memory",
    });
  });
});
