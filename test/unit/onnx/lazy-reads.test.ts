import { expect, it } from "vitest";
import { findLayers } from "../../../src/export/layers.js";
import { cleanModel } from "../../../src/onnx/clean/index.js";
import { Graph } from "../../../src/onnx/graph.js";
import { setLazyBytes } from "../../../src/onnx/lazy-bytes.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { buildModel } from "../../support/model-builder.js";
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
