import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { evaluationCount, evaluationSeed, generate, writeDataset } from "../../examples/shapes/dataset.mjs";

describe("data set of the example", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "bitwright-shapes-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("is the same on every machine", () => {
    const { images, labels } = generate(evaluationSeed, 64);
    const digest = createHash("sha256").update(images).update(labels).digest("hex");
    expect(digest).toBe("f3eb75444d5ea00a01b3aa814f33bd7073865bd0c1e93a74494248f57086d568");
  });

  it("draws a picture alike however many are drawn with it, and another one for another seed", () => {
    const few = generate(evaluationSeed, 3).images;
    expect(generate(evaluationSeed, 5).images.subarray(0, few.length)).toEqual(few);
    expect(generate(evaluationSeed + 1, 3).images).not.toEqual(few);
  });

  it("writes NumPy files whose data starts at a multiple of 64 bytes", () => {
    writeDataset(folder, { count: 24 });
    const { images } = generate(evaluationSeed, 24);
    const file = readFileSync(join(folder, "images_u8.npy"));
    const start = file.length - images.length;
    expect(start % 64).toBe(0);
    expect(file.readUInt16LE(8)).toBe(start - 10);
    expect(file.subarray(10, start).toString("latin1")).toMatch(
      /^\{'descr': '\|u1', 'fortran_order': False, 'shape': \(24, 32, 32, 3\), \} *\n$/,
    );
    expect(Buffer.compare(file.subarray(start), images)).toBe(0);
  });

  it("keeps the samples for calibration, search and the final check apart", () => {
    writeDataset(folder, { count: 48 });
    const { splits } = JSON.parse(readFileSync(join(folder, "dataset.json"), "utf8"));
    expect(splits).toEqual({ calibration: [0, 4], search: [4, 16], verify: [16, 48] });
  });
});

describe("network of the example", () => {
  it("names the figures of held-back pictures", async () => {
    const first = evaluationCount / 3;
    const count = 500;
    const pixels = 32 * 32;
    const { images, labels } = generate(evaluationSeed, first + count);
    const input = new Float32Array(count * 3 * pixels);
    for (let at = 0; at < input.length; at++) {
      const [sample, channel, pixel] = [Math.floor(at / (3 * pixels)), Math.floor(at / pixels) % 3, at % pixels];
      input[at] = (images[((first + sample) * pixels + pixel) * 3 + channel]! / 255 - 0.5) / 0.25;
    }
    const session = await InferenceSession.create(
      fileURLToPath(new URL("../../examples/shapes/shapes.onnx", import.meta.url)),
    );
    const { logits } = await session.run({ input: new Tensor("float32", input, [count, 3, 32, 32]) });
    await session.release();

    expect(logits!.dims).toEqual([count, 16]);
    const scores = logits!.data as Float32Array;
    let hits = 0;
    for (let sample = 0; sample < count; sample++) {
      const row = scores.subarray(sample * 16, sample * 16 + 16);
      if (row.indexOf(Math.max(...row)) === labels[first + sample]) hits++;
    }
    expect(hits).toBeGreaterThanOrEqual(440);
  });
});
