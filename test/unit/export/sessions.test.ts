import { describe, expect, it, vi } from "vitest";
import { measureLatency } from "../../../src/cost/latency-node.js";
import { openSession } from "../../../src/export/session-node.js";
import { buildModel } from "../../support/model-builder.js";
import { float32, scalar } from "../../support/tensors.js";

/** y = x * factor */
function scaling(factor: number): Uint8Array {
  return buildModel(17)
    .input("x", ["N", 2])
    .constant("factor", scalar(factor))
    .node("Mul", ["x", "factor"], ["y"])
    .output("y", ["N", 2])
    .bytes();
}

const feeds = { x: float32([1, 2], [1, 2]) };

describe("openSession", () => {
  it("says that the runtime refuses a model", async () => {
    const model = buildModel(17).input("x", [1]).node("NoSuchOperator", ["x"], ["y"]).output("y").bytes();
    await expect(openSession(model)).rejects.toThrow(
      expect.objectContaining({ code: "invalid-model", message: expect.stringContaining("NoSuchOperator") }),
    );
  });

  it("says that feeds do not fit", async () => {
    const session = await openSession(scaling(2));
    try {
      const run = session.run({ x: float32([2], [1, 2]) });
      await expect(run).rejects.toThrow(expect.objectContaining({ code: "invalid-data" }));
    } finally {
      await session.release();
    }
  });
});

describe("measureLatency", () => {
  it("times every model in every round", async () => {
    const models = [
      { name: "a", model: scaling(2) },
      { name: "b", model: scaling(3) },
    ];
    const results = await measureLatency(models, feeds, { repeats: 7, warmup: 1, threads: 1 });
    expect(results.map(({ name }) => name)).toEqual(["a", "b"]);
    for (const { median, quartiles, ratio } of results) {
      expect(median).toBeGreaterThan(0);
      expect(quartiles[0]).toBeLessThanOrEqual(median);
      expect(quartiles[1]).toBeGreaterThanOrEqual(median);
      expect(ratio).toBeGreaterThan(0);
    }
    expect(results[0]!.ratio).toBe(1);
  });

  it("refuses no repeats", async () => {
    await expect(measureLatency([], feeds, { repeats: 0 })).rejects.toThrow(
      expect.objectContaining({ code: "invalid-option" }),
    );
  });

  it("stops when the signal fires", async () => {
    const run = measureLatency([{ name: "a", model: scaling(2) }], feeds, { signal: AbortSignal.abort() });
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
  });
});

describe("without onnxruntime-node", () => {
  it("says how to install it", async () => {
    vi.resetModules();
    vi.doMock("onnxruntime-node", () => {
      throw new Error("Cannot find package 'onnxruntime-node'");
    });
    const { loadOnnxRuntime } = await import("../../../src/export/onnxruntime-node.js");
    await expect(loadOnnxRuntime()).rejects.toThrow(
      expect.objectContaining({
        code: "runtime-missing",
        remedy: expect.stringContaining("ONNXRUNTIME_NODE_INSTALL=skip"),
      }),
    );
    vi.doUnmock("onnxruntime-node");
  });
});
