import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { evaluationSeed, generate, writeDataset } from "../../examples/shapes/dataset.mjs";

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
    expect(digest).toBe("feded3297360447eda84b64eab05cd979447ac4f0192eea9728ae2928ebabb1c");
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
