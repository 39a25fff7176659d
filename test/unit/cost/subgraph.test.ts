import { expect, it } from "vitest";
import { partition, tensorRoles } from "../../../src/cost/partition.js";
import { extractSubgraph, subgraphBorder } from "../../../src/cost/subgraph.js";
import { findLayers } from "../../../src/export/layers.js";
import { Graph } from "../../../src/onnx/graph.js";
import { type OnnxModel, writeModel } from "../../../src/onnx/model.js";
import type { Feeds } from "../../../src/tensor.js";
import { everyValue } from "../../support/every-value.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { int64, randomTensor } from "../../support/tensors.js";
import { mixedNetwork } from "../export/networks.js";

it("makes models of parts that give the whole model's values", async () => {
  const network = mixedNetwork();
  await expectParts(network, { x: randomTensor([2, 3, 16, 16], 1) });
});

it("takes what follows from shapes as constants and feeds what comes from elsewhere", async () => {
  const model = buildModel(17)
    .input("x", ["N", 4])
    .input("mask", ["N", 4])
    .constant("a.w", randomTensor([4, 4], 1))
    .constant("b.w", randomTensor([4, 4], 2))
    .constant("two", int64([1], [2]))
    .constant("first", int64([1], [0]))
    .node("Shape", ["x"], ["shape"], {}, { name: "shape" })
    .node("Gather", ["shape", "first"], ["n"], { axis: 0n }, { name: "n" })
    .node("Concat", ["n", "two", "two"], ["split"], { axis: 0n }, { name: "split" })
    .node("MatMul", ["x", "a.w"], ["a"], {}, { name: "a" })
    .node("Relu", ["a"], ["r"], {}, { name: "r" })
    .node("MatMul", ["r", "b.w"], ["b"], {}, { name: "b" })
    .node("Add", ["b", "mask"], ["masked"], {}, { name: "masked" })
    .node("Reshape", ["masked", "split"], ["y"], {}, { name: "y" })
    .output("y")
    .build();
  const [, second] = await expectParts(model, { x: randomTensor([3, 4], 3), mask: randomTensor([3, 4], 4) });
  expect(second!.graph.input.map(({ name }) => name)).toEqual(["r", "mask"]);
  expect(second!.graph.initializer.map(({ name }) => name).sort()).toEqual(["b.w", "split"]);
});

/** Runs each part alone on the values of the whole model's run and compares what it gives; returns the parts. */
async function expectParts(model: OnnxModel, feeds: Feeds): Promise<OnnxModel[]> {
  const values = await everyValue(model, feeds);
  const graph = new Graph(model);
  const layers = new Set(findLayers(graph).map(({ node }) => node));
  const roles = tensorRoles(graph, layers);
  const parts: OnnxModel[] = [];
  for (const { nodes, cuts } of partition(graph, layers)) {
    const part = extractSubgraph(model, graph, nodes, subgraphBorder(graph, nodes, roles), values);
    const outputs = await runOnnx(writeModel(part.model), part.feeds);
    if (cuts.length > 0) expect(Object.keys(outputs)).toEqual(cuts);
    for (const [name, { data }] of Object.entries(outputs)) expect(data, name).toEqual(values.get(name)!.data);
    parts.push(part.model);
  }
  expect(parts.length).toBeGreaterThan(1);
  return parts;
}
