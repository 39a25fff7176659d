import { expect, it } from "vitest";
import { saturates, saturatesWith } from "../../../src/cost/saturation-node.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { writeModel } from "../../../src/onnx/model.js";
import { buildModel } from "../../support/model-builder.js";
import { float32 } from "../../support/tensors.js";

const [inputs, outputs] = [64, 64];
const ones = (dims: readonly number[]) => float32(dims, new Float32Array(dims.reduce((a, b) => a * b)).fill(1));

it("tells whether written models compute what their 8-bit weights say", async () => {
  const model = buildModel(21)
    .input("x", [1, inputs])
    .constant("w", ones([inputs, outputs]))
    .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
    .node("Neg", ["y"], ["z"])
    .output("z", [1, outputs])
    .build();
  const choices = new Map([["product", { weight: "int8", activation: "int8" } as const]]);
  const ranges = new Map([
    ["x", { min: 0, max: 1 }],
    ["y", { min: 0, max: inputs }],
  ]);
  // Both are the largest codes, whose products saturate if any do.
  const layoutOf = (reduceRange: boolean) => ortCpu.layout(model, choices, ranges, { reduceRange });
  const run = async (reduceRange: boolean) => {
    const exported = exportModel(model, layoutOf(reduceRange));
    const session = await openSession(writeModel(exported));
    const { z } = await session.run({ x: ones([1, inputs]) });
    await session.release();
    return -Number(z!.data[0]);
  };
  expect(await run(true)).toBeCloseTo(inputs, 0);
  expect(Math.abs((await run(false)) - inputs) < 0.5).toBe(!(await saturates()));
  expect(await saturatesWith(layoutOf(true))).toBe(false);
  expect(await saturatesWith(layoutOf(false))).toBe(await saturates());
  const onFloatKernels = new Map([["product", { weight: "int8", activation: "float" } as const]]);
  expect(await saturatesWith(ortCpu.layout(model, onFloatKernels, ranges))).toBe(false);
});
