import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { datasetFromFiles } from "../../src/data/from-files.js";
import { evaluate } from "../../src/evaluate-node.js";
import { inspect } from "../../src/inspect.js";
import { cleanModel } from "../../src/onnx/clean/index.js";
import { writeModelFile } from "../../src/onnx/model-node.js";
import { resolveOptions } from "../../src/options.js";
import { textInspection } from "../../src/report/text-inspection.js";
import type { Feeds } from "../../src/tensor.js";
import { openWorkspace } from "../../src/workspace.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { ifNode } from "../support/subgraphs.js";
import { float32, int64, randomFloats, randomTensor } from "../support/tensors.js";
import { npyBytes } from "./data/npy-bytes.js";

const rate: Feeds = { rate: { dtype: "int64", dims: [], data: BigInt64Array.of(16000n) } };

/** An If that goes by a rate, by how many samples there are, and by their values, as far as asked for. */
function branching(...by: readonly ("rate" | "count" | "sum")[]) {
  const model = buildModel(17)
    .input("x", ["N", 4])
    .input("rate", [], "int64")
    .constant("w", randomTensor([4, 4], 1))
    .constant("limit", int64([], [16000]))
    .constant("few", int64([1], [2]))
    .constant("first", int64([1], [0]))
    .constant("second", int64([1], [1]))
    .constant("zero", float32([], [0]))
    .constant("always", { dtype: "bool", dims: [], data: Uint8Array.of(1) });
  model.node("Equal", ["rate", "limit"], ["by_rate"]);
  model.node("Shape", ["x"], ["shape"]).node("Slice", ["shape", "first", "second"], ["n"]);
  model.node("Greater", ["n", "few"], ["is_more"]).node("Squeeze", ["is_more"], ["by_count"]);
  model.node("ReduceSum", ["x"], ["sum"], { keepdims: 0n }).node("Greater", ["sum", "zero"], ["by_sum"]);
  const condition = by.reduce((all, next) => {
    model.node("And", [all, `by_${next}`], [`${all}_${next}`]);
    return `${all}_${next}`;
  }, "always");
  return model
    .node("MatMul", ["x", "w"], ["a"])
    .add(ifNode(condition, "a", "x", "y"))
    .output("y")
    .build();
}

async function inspected(model: ReturnType<typeof branching>, given: Feeds = {}) {
  const inspection = await inspect(backend, model, { target: "ort-cpu", bytes: 0, given });
  return { ...inspection, text: textInspection(inspection) };
}

describe("an inspection says what decides an If:", () => {
  it("an input that data can hold constant", async () => {
    const open = await inspected(branching("rate"));
    expect(open.unsupported).toEqual([{ op: "If", nodes: ["if_y"] }]);
    expect(open.undecided).toEqual([{ node: "if_y", values: ["rate"], sizes: [] }]);
    expect(open.text).toContain(
      'the If if_y is decided by a --data manifest that holds rate constant, as in "rate": { "value": ... }',
    );
    const decided = await inspected(branching("rate"), rate);
    expect(decided).toMatchObject({ unsupported: [], undecided: [] });
    expect(cleanModel(branching("rate"), { given: rate }).model.graph.node.map(({ opType }) => opType)).not.toContain(
      "If",
    );
  });

  it("sizes that the model leaves open", async () => {
    const { undecided, text } = await inspected(branching("count", "rate"), rate);
    expect(undecided).toEqual([{ node: "if_y", values: [], sizes: ["x"] }]);
    expect(text).toContain("the If if_y is decided by the sizes of x, which have to be fixed in the model");
  });

  it("several of them", async () => {
    const { undecided, text } = await inspected(branching("rate", "count", "sum"));
    expect(undecided).toEqual([{ node: "if_y", values: expect.arrayContaining(["rate", "x"]), sizes: ["x"] }]);
    expect(undecided[0]!.values).toHaveLength(2);
    expect(text).toMatch(/is decided by a --data manifest that holds .*, and by the sizes of x/);
  });
});

describe("what decides an If is said by", () => {
  const model = branching("sum");
  const open = () =>
    datasetFromFiles(
      { inputs: { x: { file: "x.npy" }, rate: { value: 16000, dtype: "int64", dims: [] } } },
      { "x.npy": npyBytes("<f4", [20, 4], randomFloats(80, 1)) },
    );

  it("an analysis", async () => {
    const dataset = await open();
    const { text } = await inspected(model, rate);
    await expect(openWorkspace(backend, model, dataset, resolveOptions({}))).rejects.toMatchObject({
      code: "unsupported-op",
      where: 'node "if_y"',
      received: text.split("\n").find((line) => line.startsWith("the If")),
    });
  });

  it("an evaluation in the engine", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
    const path = join(folder, "model.onnx");
    try {
      await writeModelFile(model, path);
      const options = { data: await open(), reference: path, split: "search", engine: { backend } } as const;
      await expect(evaluate(path, options)).rejects.toMatchObject({
        code: "unsupported-op",
        received: expect.stringContaining("the If if_y is decided by"),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
