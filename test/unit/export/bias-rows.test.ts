import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { inspectFusion } from "../../../src/export/fusion-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { writeModel } from "../../../src/onnx/model.js";
import { writeModelFile } from "../../../src/onnx/model-node.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { randomTensor } from "../../support/tensors.js";
import { observeRanges, simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const weights = () =>
  buildModel(17)
    .constant("w", randomTensor([8, 5], 3))
    .constant("b", randomTensor([1, 5], 4));

it.each([
  {
    name: "added to a matrix product",
    dims: [4, 8],
    model: weights()
      .input("x", ["N", 8])
      .node("MatMul", ["x", "w"], ["p"], {}, { name: "product" })
      .node("Add", ["p", "b"], ["y"], {}, { name: "bias" }),
  },
  {
    name: "added to a product of three axes",
    dims: [2, 3, 8],
    model: weights()
      .input("x", ["N", 3, 8])
      .node("MatMul", ["x", "w"], ["p"], {}, { name: "product" })
      .node("Add", ["b", "p"], ["y"], {}, { name: "bias" }),
  },
  {
    name: "of a Gemm",
    dims: [4, 8],
    model: weights().input("x", ["N", 8]).node("Gemm", ["x", "w", "b"], ["y"], {}, { name: "product" }),
  },
])("a row $name is a bias of an integer kernel", async ({ dims, model }) => {
  const built = model.output("y").build();
  const feeds = { x: randomTensor(dims, 5) };
  const choices = new Map([["product", { weight: "int8", activation: "int8" } as const]]);
  const layout = ortCpu.layout(built, choices, await observeRanges(built, feeds), { reduceRange: true });
  expect(layout.biases).toHaveLength(1);
  const exported = exportModel(built, layout);
  const expected = (await simulate(built, layout, feeds)).get("y")!.data as Float32Array;
  const actual = (await runOnnx(writeModel(exported), feeds, { optimization: "all" })).y!.data as Float32Array;
  for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
  const path = join(folder, "rows.onnx");
  await writeModelFile(exported, path);
  expect(await inspectFusion(built, layout, path)).toMatchObject({ asPlanned: true, layers: [{ found: "integer" }] });
});
