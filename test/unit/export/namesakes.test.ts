import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { groupLayers } from "../../../src/groups.js";
import { writeModelFile } from "../../../src/onnx/model-node.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";
import { gemm, unary } from "./networks.js";
import { observeRanges } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

it("tells layers apart whose names begin alike", async () => {
  const network = buildModel(17).input("x", ["N", 32]);
  let stream = "x";
  for (const name of ["fc", "fc/next", "fc_token_1"]) {
    stream = unary(network, "Relu", `${name}.relu`, [gemm(network, name, stream, 32, 32)]);
  }
  const model = network.output(stream).build();
  const ranges = await observeRanges(model, { x: randomTensor([4, 32], 1) });
  const choice = { weight: "int8", activation: "int8" } as const;
  const layout = ortCpu.layout(model, new Map([["fc/next", choice]]), ranges);
  const path = join(folder, "model.onnx");
  await writeModelFile(exportModel(model, layout), path);
  const { asPlanned, layers } = await inspectFusion(model, layout, path);
  expect(layers.map(({ node, found }) => [node, found])).toEqual([
    ["fc", "float"],
    ["fc/next", "integer"],
    ["fc_token_1", "float"],
  ]);
  expect(asPlanned).toBe(true);
});

it("does not put a product of activations with the weight that is called like it", () => {
  const model = buildModel(17)
    .input("x", ["N", 32])
    .constant("w", randomTensor([32, 64], 1))
    .node("MatMul", ["x", "w"], ["a"], {}, { name: "first" })
    .node("Transpose", ["a"], ["t"], {}, { name: "turn" })
    .node("MatMul", ["a", "t"], ["y"], {}, { name: "w" })
    .output("y")
    .build();
  const groups = groupLayers(ortCpu.layers(model));
  expect(groups.map(({ layers }) => layers.map(({ node }) => node))).toEqual([["first"], ["w"]]);
});
