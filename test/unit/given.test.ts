import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { analyze } from "../../src/analyze.js";
import { Graph } from "../../src/backend/graph.js";
import { fakeQuantize, searchScale } from "../../src/backend/kernels.js";
import { bindingOf } from "../../src/binding.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { datasetFromFiles } from "../../src/data/from-files.js";
import { BitwrightError } from "../../src/errors.js";
import { evaluate } from "../../src/evaluate-node.js";
import { exportModel } from "../../src/export/qdq.js";
import { inspect } from "../../src/inspect.js";
import { checkLimits } from "../../src/limits.js";
import { cleanModel } from "../../src/onnx/clean/index.js";
import { readModel, writeModel } from "../../src/onnx/model.js";
import { writeModelFile } from "../../src/onnx/model-node.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { resolveOptions } from "../../src/options.js";
import { parseAnalysis } from "../../src/parse-analysis.js";
import { quantize } from "../../src/quantize.js";
import { searchPlan } from "../../src/search-plan.js";
import { openWorkspace } from "../../src/workspace.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { float32, randomTensor } from "../support/tensors.js";

const build = () =>
  buildModel(17)
    .input("x", ["N", 2])
    .constant("w", float32([2, 2], [1, 2, 3, 4]))
    .node("MatMul", ["x", "w"], ["y"])
    .output("y");
const model = build().build();
const dataset = () => datasetFrom({ x: randomTensor([20, 2], 1) });
const quantizer = {
  granularity: { kind: "tensor" },
  scales: Float32Array.of(0.1),
  zeroPoints: Int32Array.of(0),
  qmin: -127,
  qmax: 127,
  bits: 8,
  signed: true,
} as const;
const four = new Float32Array(4);

/** What programs without types do, by what is said of it. The casts take the types away. */
const mistakes: readonly (readonly [string, () => unknown, Partial<BitwrightError>])[] = [
  [
    "bytes for a model",
    () => cleanModel(build().bytes() as never),
    { where: "model", received: "an instance of Uint8Array" },
  ],
  ["a model for bytes", () => readModel(model as never), { where: "bytes", received: "an object with proto, graph" }],
  ["no model", () => writeModel(undefined as never), { where: "model", received: "undefined" }],
  ["a path before the model", () => writeModelFile("a.onnx" as never, model as never), { where: "model" }],
  ["no layout", () => exportModel(model, {} as never), { where: "layout", received: "an empty object" }],
  [
    "the name of a backend",
    () => inspect("native" as never, model, { target: "ort-cpu", bytes: 0 }),
    { where: "backend", received: '"native"' },
  ],
  ["an unknown target", () => inspect(backend, model, { target: "npu" as never, bytes: 0 }), { where: "target" }],
  [
    "a data set that was not awaited",
    async () => bindingOf(model, dataset() as never, resolveOptions({})),
    { where: "dataset", received: "a promise that was not awaited" },
  ],
  [
    "a manifest's path for a data set",
    () => openWorkspace(backend, model, "data.json" as never, resolveOptions({})),
    { where: "dataset", received: '"data.json"' },
  ],
  ["no workspace", () => analyze(undefined as never, { criteria: ["direct"] } as never), { where: "workspace" }],
  [
    "no analysis",
    () => searchPlan({ simulator: 0 } as never, null as never, {} as never),
    { where: "analysis", received: "null" },
  ],
  ["no options", () => resolveOptions(undefined as never), { where: "options" }],
  ["no limits", () => quantize("a.onnx", {} as never), { where: "limits", received: "undefined" }],
  ["a limit that there is not", () => checkLimits({ keep: 0.9, maxsize: 3 } as never), { where: "limits.maxsize" }],
  [
    "an option that there is not",
    () => quantize("a.onnx", { data: "d.json", limits: { keep: 0.9 }, output: "o.onnx", formts: ["int8"] } as never),
    { where: "formts" },
  ],
  ["no data", () => evaluate("a.onnx", {} as never), { where: "data", received: "undefined" }],
  ["no files", () => datasetFromFiles({ inputs: {} }, undefined as never), { where: "files" }],
  ["no feeds", () => datasetFrom(undefined as never), { where: "feeds" }],
  ["a feed that is no tensor", () => datasetFrom({ x: null as never }), { where: "x", received: "null" }],
  [
    "an array of another type",
    () => datasetFrom({ x: { dtype: "float32", dims: [2], data: new Float64Array(2) as never } }),
    { where: "x.data", expected: "Float32Array for float32", received: "Float64Array" },
  ],
  [
    "a plain array",
    () => datasetFrom({ x: { dtype: "float32", dims: [2], data: [1, 2] as never } }),
    { where: "x.data", received: "Array" },
  ],
  ["a scalar", () => datasetFrom({ x: float32([], [1]) }), { where: "x" }],
  [
    "half a label",
    () => datasetFrom({ x: randomTensor([2, 2], 1) }, { labels: [0.5, 1] }),
    { where: "labels", received: "0.5 for sample 0" },
  ],
  ["an analysis of another version", () => parseAnalysis('{ "version": 1 }'), { where: "analysis, version" }],
  ["a program that is none", () => Graph.create(backend, -1 as never), { where: "program", received: "-1" }],
  [
    "threads that are no number",
    () => Graph.create(backend, encodeProgram(model).program, { threads: Number.NaN }),
    { code: "engine-failure" },
  ],
  [
    "scales in a plain array",
    () => fakeQuantize(backend, four, [4], { ...quantizer, scales: [0.1] as never }),
    { where: "scales", received: "an instance of Array" },
  ],
  [
    "numbers in double",
    () => fakeQuantize(backend, new Float64Array(4) as never, [4], quantizer),
    { where: "x", received: "an instance of Float64Array" },
  ],
  [
    "a shape below nothing",
    () => fakeQuantize(backend, four, [-2, -2], quantizer),
    { where: "dims", received: "[-2, -2]" },
  ],
  [
    "a granularity that there is not",
    () => fakeQuantize(backend, four, [4], { ...quantizer, granularity: { kind: "row" } as never }),
    { where: "granularity.kind" },
  ],
  [
    "a way to a range that there is not",
    () => searchScale(backend, four, [4], quantizer, { kind: "median" } as never),
    { where: "method.kind" },
  ],
];

describe("an argument of another kind is refused by its name:", () => {
  it.each(mistakes)("%s", async (_, call, expected) => {
    const failure = await (async () => call())().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(BitwrightError);
    expect(failure).toMatchObject(expected);
  });

  it.each<[string, (graph: Graph) => Promise<unknown>]>([
    ["inputs that are no map", (graph) => graph.run({ 0: randomTensor([1, 2], 1) } as never)],
    ["an input that is none", (graph) => graph.run(new Map([[0, null as never]]))],
    ["a shape of parts", (graph) => graph.run(new Map([[0, { ...randomTensor([1, 2], 1), dims: [1.5, 2] }]]))],
    ["a value that is no number", (graph) => graph.read("y" as never)],
    ["a loss that there is not", (graph) => graph.loss({ kind: "hinge" } as never)],
    ["an error of nothing", (graph) => graph.setErrors([{} as never])],
    ["nothing to project", (graph) => graph.project(undefined as never)],
    ["no sites", (graph) => graph.setSites(undefined as never)],
    ["a direction in a plain array", (graph) => graph.setDirection(0, 0, [1] as never)],
    ["bins in single precision", (graph) => graph.histogram(0, 0, 1, new Float32Array(4) as never)],
  ])("by a graph, which goes on: %s", async (_, call) => {
    const { program, tensors } = encodeProgram(model);
    await using graph = await Graph.create(backend, program);
    await expect(call(graph)).rejects.toBeInstanceOf(BitwrightError);
    await graph.run(new Map([[tensors.indexOf("x"), float32([1, 2], [1, 1])]]));
    expect((await graph.read(tensors.indexOf("y"))).data).toEqual(Float32Array.of(4, 6));
  });
});

describe("a place that a model cannot be written to is refused before the work:", () => {
  const folder = mkdtempSync(join(tmpdir(), "bitwright-test-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const float = join(folder, "float.onnx");

  it.each([
    ["the float model's", float, "invalid-option"],
    ["a folder", folder, "invalid-option"],
    ["a folder that is not there", join(folder, "none", "model.onnx"), "io"],
  ])("%s", async (_, output, code) => {
    const bytes = build().bytes();
    writeFileSync(float, bytes);
    const onProgress = vi.fn();
    const run = { data: await dataset(), limits: { keep: 0.9 }, output, onProgress };
    await expect(quantize(float, run)).rejects.toMatchObject({ code });
    expect(onProgress).not.toHaveBeenCalled();
    expect(new Uint8Array(readFileSync(float))).toEqual(bytes);
  });
});
