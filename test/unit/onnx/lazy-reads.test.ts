import { expect, it } from "vitest";
import { findLayers } from "../../../src/export/layers.js";
import { cleanModel } from "../../../src/onnx/clean/index.js";
import { Graph } from "../../../src/onnx/graph.js";
import { readTensor } from "../../../src/onnx/initializer.js";
import { lazyBytesOf, setLazyBytes } from "../../../src/onnx/lazy-bytes.js";
import { type OnnxModel, writeModel } from "../../../src/onnx/model.js";
import type { TensorOf } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomTensor } from "../../support/tensors.js";

/** Leaves weights in what stands for a file, and counts how often each is read. */
function countReads({ graph }: OnnxModel, names: readonly string[]): Map<string, number> {
  const reads = new Map(names.map((name) => [name, 0]));
  for (const tensor of graph.initializer) {
    const { rawData, name } = tensor;
    if (!reads.has(name)) continue;
    setLazyBytes(tensor, {
      length: rawData.length,
      read: (begin = 0, end = rawData.length) => {
        reads.set(name, reads.get(name)! + 1);
        return rawData.slice(begin, end);
      },
    });
  }
  return reads;
}

it("a table and its transposed copy are read a few times to be compared", () => {
  const table = randomTensor([40, 30], 1);
  const turned = table.data.map((_, i) => table.data[(i % 40) * 30 + Math.floor(i / 40)]!);
  const model = buildModel(17)
    .input("ids", ["N", 3], "int64")
    .constant("table", table)
    .constant("head", { ...table, dims: [30, 40], data: turned })
    .node("Gather", ["table", "ids"], ["rows"])
    .node("MatMul", ["rows", "head"], ["y"])
    .output("y")
    .build();
  const reads = countReads(model, ["table", "head"]);
  expect(findLayers(new Graph(model)).map(({ weight }) => weight?.copyOf)).toEqual([undefined, "table"]);
  for (const count of reads.values()) expect(count).toBeLessThan(5);
});

it("a weight is read a few times when a normalization in front of it is folded", () => {
  const model = buildModel(17).input("x", ["N", 4, 5, 5]);
  for (const name of ["scale", "shift", "mean", "var"]) model.constant(name, randomTensor([4], 2, 0.5, 1));
  model
    .constant("w", randomTensor([6, 4, 3, 3], 3))
    .node("BatchNormalization", ["x", "scale", "shift", "mean", "var"], ["b"])
    .node("Conv", ["b", "w"], ["y"])
    .output("y");
  const given = model.build();
  const reads = countReads(given, ["w"]);
  expect(cleanModel(given).model.graph.node.map(({ opType }) => opType)).toEqual(["Conv"]);
  expect(reads.get("w")).toBeLessThan(5);
});

it("a factor and a transposition that go into a weight which is not held in memory are applied when it is read", async () => {
  const weight = randomTensor([600, 900], 1);
  const attributes = { alpha: 0.25, transB: 1n };
  const build = buildModel(17).opset("com.microsoft", 1).input("x", ["N", 900]).constant("w", weight);
  build.node("FusedMatMul", ["x", "w"], ["y"], attributes, { name: "product", domain: "com.microsoft" }).output("y");
  const given = build.build();
  const reads = countReads(given, ["w"]);
  const { graph } = cleanModel(given).model;
  expect(reads.get("w")).toBe(0);
  const [stored] = graph.initializer;
  expect(lazyBytesOf(stored!)).toBeDefined();
  expect(readTensor(stored!).data).toHaveLength(600 * 900);
  expect(reads.get("w")).toBe(1);
  const feeds = { x: randomTensor([2, 900], 2) };
  const { data } = (await runOnnx(writeModel(cleanModel(given).model), feeds)).y as TensorOf<"float32">;
  const expected = (await runOnnx(writeModel(given), feeds)).y as TensorOf<"float32">;
  for (const [i, value] of expected.data.entries()) expect(data[i]).toBeCloseTo(value, 3);
});
