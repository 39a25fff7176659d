import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import type { GraphOptions } from "../../src/backend/graph-types.js";
import { encodeProgram } from "../../src/onnx/program.js";
import type { Tensor } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import { buildModel, type ModelBuilder } from "../support/model-builder.js";
import { float32, int64 } from "../support/tensors.js";

/** Runs a model whose output is "y" on a batch of x. */
async function run(model: ModelBuilder, x: Tensor, options?: GraphOptions): Promise<Tensor> {
  const { program, tensors } = encodeProgram(model.output("y").build());
  const graph = await Graph.create(backend, program, options);
  try {
    await graph.run(new Map([[tensors.indexOf("x"), x]]));
    return await graph.read(tensors.indexOf("y"));
  } finally {
    await graph.dispose();
  }
}

const one = float32([1, 1], [1]);
const image = float32([1, 1, 2, 2], [1, 2, 3, 4]);
const withX = (dims: readonly (number | string)[] = ["N", 1], opset = 17) => buildModel(opset).input("x", dims);
const list = (...values: number[]) => int64([values.length], values);

/** Models that announce more memory than any machine has, by what announces it. */
const enormous: Readonly<Record<string, () => [ModelBuilder, Tensor]>> = {
  ConstantOfShape: () => [
    withX()
      .constant("s", list(2 ** 23, 2 ** 23))
      .node("ConstantOfShape", ["s"], ["c"])
      .node("Add", ["x", "c"], ["y"]),
    one,
  ],
  Expand: () => [
    withX()
      .constant("s", list(2 ** 45, 1))
      .node("Expand", ["x", "s"], ["y"]),
    one,
  ],
  Tile: () => [
    withX()
      .constant("s", list(1, 2 ** 45))
      .node("Tile", ["x", "s"], ["y"]),
    one,
  ],
  "Pad by a table": () => [
    withX()
      .constant("s", list(0, 0, 0, 2 ** 39))
      .node("Pad", ["x", "s"], ["y"], { mode: "edge" }),
    one,
  ],
  Conv: () => [
    withX(["N", 1, 2, 2])
      .constant("w", float32([1, 1, 1, 1], [1]))
      .node("Conv", ["x", "w"], ["y"], { pads: [2n ** 22n, 2n ** 22n, 0n, 0n] }),
    image,
  ],
  Resize: () => [
    withX(["N", 1, 2, 2])
      .constant("s", list(1, 1, 2, 2 ** 40))
      .node("Resize", ["x", "", "", "s"], ["y"]),
    image,
  ],
  "a batch of matrices without elements": () => [
    withX(["N", 1, 2, 2])
      .constant("a", float32([2 ** 20, 1, 0, 1], []))
      .constant("b", float32([1, 2 ** 20, 1, 0], []))
      .node("MatMul", ["a", "b"], ["c"])
      .node("Shape", ["c"], ["y"]),
    image,
  ],
};

describe("memory", () => {
  test.for(Object.entries(enormous))("is not taken for what no machine can hold: %s", async ([, build]) => {
    await expect(run(...build())).rejects.toMatchObject({ code: "out-of-memory" });
  });

  test("is limited for each graph, and what failed can be tried again", async () => {
    const { program, tensors } = encodeProgram(
      withX(["N", 1024]).node("Exp", ["x"], ["e"]).node("Exp", ["e"], ["y"]).output("y").build(),
    );
    const graph = await Graph.create(backend, program, { memory: 1 << 22 });
    const rows = (count: number) =>
      new Map([[tensors.indexOf("x"), float32([count, 1024], new Float32Array(1024 * count))]]);
    await expect(graph.run(rows(900))).rejects.toMatchObject({ code: "out-of-memory" });
    for (const count of [1, 16, 3, 64, 7, 100]) {
      await graph.run(rows(count));
      expect((await graph.read(tensors.indexOf("y"))).dims).toEqual([count, 1024]);
    }
    await graph.dispose();
  });
});

describe("shapes", () => {
  test("whose products would overflow are refused even where one size is 0", async () => {
    const shape = withX()
      .constant("s", list(0, 2 ** 40, 2 ** 40))
      .node("ConstantOfShape", ["s"], ["y"]);
    await expect(run(shape, one)).rejects.toMatchObject({ code: "invalid-model" });
  });

  test("of rotary tables that are not for the part that turns are refused", async () => {
    const tables = float32([1, 1, 1], [1]);
    const rotary = (turned: bigint) =>
      buildModel(23)
        .input("x", [1, 1, 1, 4])
        .constant("c", tables)
        .node("RotaryEmbedding", ["x", "c", "c"], ["y"], { rotary_embedding_dim: turned });
    const x = float32([1, 1, 1, 4], [1, 2, 3, 4]);
    expect((await run(rotary(2n), x)).dims).toEqual([1, 1, 1, 4]);
    await expect(run(rotary(4n), x)).rejects.toMatchObject({ code: "invalid-model" });
  });

  test("without elements are reduced", async () => {
    const reduced = (axes: number[], dims: string[]) =>
      withX(dims)
        .constant("axes", list(...axes))
        .node("ReduceSum", ["x", "axes"], ["y"]);
    expect((await run(reduced([1], ["N", "C"]), float32([0, 3], []))).dims).toEqual([0, 1]);
    const summed = await run(reduced([0, 2], ["N", "C", "D"]), float32([2, 0, 4], []));
    expect(summed.dims).toEqual([1, 0, 1]);
  });

  test("of outputs that do not divide into samples are the model's fault", async () => {
    const { program, tensors } = encodeProgram(
      withX(["N", 1])
        .constant("axes", list(0))
        .node("ReduceSum", ["x", "axes"], ["y"], { keepdims: 0n })
        .output("y")
        .build(),
    );
    const graph = await Graph.create(backend, program);
    await graph.run(new Map([[tensors.indexOf("x"), float32([2, 1], [1, 2])]]), { keep: true });
    await expect(graph.loss({ kind: "sum", value: tensors.indexOf("y") })).rejects.toMatchObject({
      code: "invalid-model",
    });
    await graph.dispose();
  });

  test("without samples run, and have no loss", async () => {
    const { program, tensors } = encodeProgram(withX(["N", 1]).node("Exp", ["x"], ["y"]).output("y").build());
    const graph = await Graph.create(backend, program);
    await graph.run(new Map([[tensors.indexOf("x"), float32([0, 1], [])]]), { keep: true });
    expect((await graph.read(tensors.indexOf("y"))).dims).toEqual([0, 1]);
    await expect(graph.loss({ kind: "sum", value: tensors.indexOf("y") })).rejects.toMatchObject({
      code: "invalid-model",
    });
    await graph.dispose();
  });

  const attention = (opType: string, inputs: string[], attributes: Record<string, bigint> = {}, domain = "") =>
    withX(domain === "" ? ["N", 2, 1, 4] : ["N", 1, 8], domain === "" ? 24 : 17)
      .opset("com.microsoft", 1)
      .constant("one", float32([], [1]))
      .constant("counts", list(1, 1, 1))
      .constant("zero", list(0))
      .constant("table", float32([4, 2], new Array(8).fill(0.5)))
      .constant("empty", float32([4, 0], []))
      .constant("lengths", { dtype: "int32", dims: [1], data: Int32Array.of(0) })
      .node(opType, inputs, ["y"], attributes, { domain });
  const fused = (opType: string, inputs: string[], attributes: Record<string, bigint> = {}) =>
    attention(opType, inputs, attributes, "com.microsoft");
  const heads = float32([1, 2, 1, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
  const row = float32([1, 1, 8], [1, 2, 3, 4, 5, 6, 7, 8]);
  const past = ["x", "x", "x", "", "", "", "one", "one"];

  test.for<[what: string, model: ModelBuilder, x: Tensor]>([
    ["a query without axes", attention("Attention", ["one", "x", "x"]), heads],
    ["more lengths than samples", attention("Attention", ["x", "x", "x", "", "", "", "counts"]), heads],
    ["tables without axes", attention("RotaryEmbedding", ["x", "one", "one"]), heads],
    ["a fused query without axes", fused("MultiHeadAttention", ["one", "x", "x"], { num_heads: 2n }), row],
    ["a past without axes", fused("MultiHeadAttention", past, { num_heads: 2n }), row],
    ["no heads", fused("GroupQueryAttention", ["x", "", "", "", "", "lengths", "lengths"]), row],
    ["tables without columns", fused("RotaryEmbedding", ["x", "zero", "empty", "empty"]), row],
    ["no samples", fused("RotaryEmbedding", ["x", "zero", "table", "table"]), float32([0, 1, 8], [])],
  ])("that attention cannot have are refused: %s", async ([, model, x]) => {
    await expect(run(model, x)).rejects.toMatchObject({ code: "invalid-model" });
  });
});
