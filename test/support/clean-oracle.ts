import { expect } from "vitest";
import { type Change, cleanModel } from "../../src/onnx/clean/index.js";
import { Graph } from "../../src/onnx/graph.js";
import { type OnnxModel, readModel, writeModel } from "../../src/onnx/model.js";
import type { Feeds, Tensor } from "../../src/tensor.js";
import type { ModelBuilder } from "./model-builder.js";
import { runOnnx } from "./onnxruntime.js";

export interface Cleaned {
  readonly model: OnnxModel;
  readonly graph: Graph;
  readonly changes: readonly Change[];
  /** Operator types in order. */
  readonly ops: string[];
  /** Names of the passes that changed something, each once. */
  readonly passes: string[];
}

/** Cleans a model, and lets onnxruntime say that all outputs stayed the same. */
export async function cleanAndCompare(builder: ModelBuilder, feeds: Feeds): Promise<Cleaned> {
  const before = builder.bytes();
  const { model, changes } = cleanModel(readModel(before));
  const after = writeModel(model);
  // What was written must be a model that reads.
  readModel(after);
  await expectSameOutputs(before, after, feeds);
  return {
    model,
    graph: new Graph(model),
    changes,
    ops: model.graph.node.map((node) => node.opType),
    passes: [...new Set(changes.map(({ pass }) => pass))],
  };
}

/** Runs two models unoptimized on the same feeds and compares all outputs up to float rounding. */
export async function expectSameOutputs(expected: Uint8Array, received: Uint8Array, feeds: Feeds): Promise<void> {
  const want = await runOnnx(expected, feeds);
  const got = await runOnnx(received, feeds);
  expect(Object.keys(got)).toEqual(Object.keys(want));
  for (const [name, tensor] of Object.entries(want)) expectClose(got[name]!, tensor, name);
}

/** Equal up to 2e-6 of the largest value. */
export function expectClose(received: Tensor, expected: Tensor, what = "tensor"): void {
  expect(received.dims, what).toEqual(expected.dims);
  expect(received.dtype, what).toBe(expected.dtype);
  const largest = Array.from(expected.data, Number).reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const tolerance = expected.dtype === "float32" ? 2e-6 * largest : 0;
  expected.data.forEach((value, i) => {
    const difference = Math.abs(Number(received.data[i]) - Number(value));
    const same = Object.is(Number(received.data[i]), Number(value)) || difference <= tolerance;
    if (!same) expect.fail(`${what}[${i}] is ${received.data[i]} instead of ${value}`);
  });
}
