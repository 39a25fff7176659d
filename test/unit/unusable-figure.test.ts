import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { snr } from "../../src/data/metrics/snr.js";
import { writeModelFile } from "../../src/onnx/model-node.js";
import { quantize } from "../../src/quantize.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { randomTensor } from "../support/tensors.js";

it("a share of a figure that is infinite for the float model is refused before the analysis", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bitwright-figure-"));
  try {
    const model = buildModel(17)
      .input("x", ["N", 16])
      .constant("w", randomTensor([16, 8], 2))
      .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
      .output("y", ["N", 8])
      .build();
    const path = join(folder, "float.onnx");
    await writeModelFile(model, path);
    const splits = { calibration: [0, 8], search: [8, 16], verify: [16, 24] } as const;
    const data = await datasetFrom({ x: randomTensor([24, 16], 1) }, { splits, metric: snr({ against: "float" }) });
    const saved: unknown[] = [];
    const quantized = quantize(path, {
      data,
      backend,
      limits: { keep: 0.99 },
      output: join(folder, "quantized.onnx"),
      onAnalysis: (analysis) => void saved.push(analysis),
    });
    await expect(quantized).rejects.toMatchObject({ code: "invalid-option", received: "Infinity" });
    expect(saved).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
