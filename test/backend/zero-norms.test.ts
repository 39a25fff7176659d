import { expect, test } from "vitest";
import { EngineModel } from "../../src/evaluate/engine-model.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { float32, int64 } from "../support/tensors.js";

const rows = float32([2, 3], [0, 0, 0, 2, 3, 6]);

test.each([
  ["ReduceL2", [2, 3], { keepdims: 1n }],
  ["GlobalLpPool", [2, 1, 3], {}],
  ["LpPool", [2, 1, 3], { kernel_shape: [3n] }],
])("the norm of a row of zeros has a derivative of zero: %s", async (opType, dims, attributes) => {
  const model = buildModel(18)
    .input("x", ["N", ...dims.slice(1)])
    .constant("axes", int64([1], [1]))
    .node(opType, opType === "ReduceL2" ? ["x", "axes"] : ["x"], ["y"], attributes)
    .output("y")
    .build();
  const engine = await EngineModel.create(backend, model);
  await engine.run({ x: float32(dims, [...rows.data]) }, { keep: true });
  await engine.graph.loss({ kind: "sum", value: engine.value("y") });
  await engine.graph.gradient([engine.value("x")]);
  const gradient = await engine.graph.readGradient(engine.value("x"));
  expect([...gradient.data].map((value) => Math.round(Number(value) * 7) + 0)).toEqual([0, 0, 0, 2, 3, 6]);
  await engine.dispose();
});

test("a row of zeros stays one when it is divided by its norm", async () => {
  const model = buildModel(17).input("x", ["N", 3]).node("LpNormalization", ["x"], ["y"]).output("y").build();
  const engine = await EngineModel.create(backend, model);
  await engine.run({ x: rows });
  const { data } = (await engine.readOutputs()).y!;
  expect([...data].map((value) => Math.round(Number(value) * 7) + 0)).toEqual([0, 0, 0, 2, 3, 6]);
  await engine.dispose();
});
