import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HardwareProfile } from "../../src/cost/profile.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { writeModelFile } from "../../src/onnx/model-node.js";
import type { Limits } from "../../src/options.js";
import { quantize } from "../../src/quantize.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { randomTensor } from "../support/tensors.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-profile-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

// Ten nanoseconds a multiply-accumulate in float, one in int8, and memory that takes no time.
const npu: HardwareProfile = {
  name: "npu",
  macsPerSecond: { float: 1e8, int8: 1e9 },
  bytesPerSecond: 1e15,
  layerMs: 0,
};

async function quantized(profile: HardwareProfile, limits: Limits) {
  const model = buildModel(17)
    .input("x", ["N", 64])
    .constant("v", randomTensor([64, 96], 1))
    .constant("w", randomTensor([96, 32], 2))
    .node("MatMul", ["x", "v"], ["a"], {}, { name: "first" })
    .node("Relu", ["a"], ["b"])
    .node("MatMul", ["b", "w"], ["y"], {}, { name: "second" })
    .output("y", ["N", 32])
    .build();
  const path = join(folder, "float.onnx");
  await writeModelFile(model, path);
  const splits = { calibration: [0, 8], search: [8, 16], verify: [16, 24] } as const;
  const data = await datasetFrom({ x: randomTensor([24, 64], 3) }, { splits });
  const output = join(folder, "quantized.onnx");
  return quantize(path, { data, backend, profile, limits, output, formats: ["int8"], verify: false });
}

const [first, second] = [64 * 96 * 1e-5, 96 * 32 * 1e-5];

describe("quantize with a hardware profile", () => {
  it("meets a limit on latency by its predictions", async () => {
    // Half the time: the first layer has two thirds of it.
    const { plan, feasible, analysis } = await quantized(npu, { maxLatency: { share: 0.5 } });
    expect(feasible).toBe(true);
    expect(plan.predicted).toMatchObject({ latencyProfile: "npu", latencyError: null });
    expect(plan.predicted.floatLatencyMs).toBeCloseTo(first + second, 9);
    expect(plan.layers.map(({ activationFormat }) => activationFormat)).toEqual(["int8", "float"]);
    expect(plan.predicted.latencyMs).toBeCloseTo(first / 10 + second, 9);
    expect(analysis.latency).toMatchObject({ profile: "npu" });
  });

  it("says when its predictions do not meet the limit", async () => {
    const slow = { ...npu, macsPerSecond: { float: 1e8 } };
    const { plan, feasible } = await quantized(slow, { maxLatency: { share: 0.5 } });
    expect(feasible).toBe(false);
    expect(plan.unmet).toEqual(["maxLatency"]);
  });

  it("refuses what is no profile", async () => {
    const wrong = { ...npu, bytesPerSecond: -1 };
    await expect(quantized(wrong, { maxLatency: { share: 0.5 } })).rejects.toMatchObject({
      code: "invalid-data",
      where: "options, profile.bytesPerSecond",
    });
  });
});
