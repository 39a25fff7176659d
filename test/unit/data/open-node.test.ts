import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { datasetFromFiles } from "../../../src/data/from-files.js";
import { openDataset } from "../../../src/data/open-node.js";
import { npyBytes } from "./npy-bytes.js";

let folder: string;
const manifest = { inputs: { x: { file: "data/x.npy" } }, splits: { verify: [0, 4] as const } };
const values = Float32Array.from({ length: 12 }, (_, i) => i);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bitwright-data-"));
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "data/x.npy"), npyBytes("<f4", [4, 3], values));
  writeFileSync(join(folder, "dataset.json"), JSON.stringify(manifest));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function first(dataset: Awaited<ReturnType<typeof openDataset>>) {
  for await (const { feeds } of dataset.batches("verify", 4)) return feeds.x;
}

describe("openDataset", () => {
  it("finds files beside the manifest, or under a base folder", async () => {
    const byPath = await openDataset(join(folder, "dataset.json"));
    const byObject = await openDataset(manifest, { baseDir: folder });
    expect(await first(byPath)).toEqual({ dtype: "float32", dims: [4, 3], data: values });
    expect(await first(byObject)).toEqual(await first(byPath));
  });

  it("gives the same feeds and hash as the same files in memory, given as bytes or as blobs", async () => {
    const onDisk = await openDataset(manifest, { baseDir: folder });
    for (const content of [npyBytes("<f4", [4, 3], values), new Blob([npyBytes("<f4", [4, 3], values)])]) {
      const inMemory = await datasetFromFiles(manifest, { "data/x.npy": content });
      expect(await first(inMemory)).toEqual(await first(onDisk));
      expect(await inMemory.hash()).toBe(await onDisk.hash());
    }
  });

  it("takes a metric of the user's instead of the manifest's", async () => {
    const dataset = await openDataset(manifest, { baseDir: folder, metric: () => [1] });
    expect(dataset.metric.higherIsBetter).toBe(true);
  });

  it("reads a few samples of a file that is larger than memory", async () => {
    // A sparse file: a header for 2^21 samples of 4 KB, and no more on disk than is written.
    const header = npyBytes("<f4", [2 ** 21, 1024], new Float32Array(0));
    writeFileSync(join(folder, "data/x.npy"), header);
    truncateSync(join(folder, "data/x.npy"), header.length + 2 ** 33);
    const dataset = await openDataset(manifest, { baseDir: folder });
    for await (const { feeds } of dataset.batches([2 ** 21 - 1, 5], 2)) expect(feeds.x!.dims).toEqual([2, 1024]);
  });

  it.each([
    ["a manifest that is missing", "none.json", "io", /manifest cannot be read/],
    ["a manifest that is not JSON", "data/x.npy", "invalid-data", /not valid JSON/],
    ["a folder for a manifest", "data", "io", /manifest cannot be read/],
  ])("refuses %s", async (_, path, code, message) => {
    await expect(openDataset(join(folder, path))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it("refuses a folder, and a file that shrinks while it is read", async () => {
    mkdirSync(join(folder, "d.npy"));
    await expect(openDataset({ inputs: { x: { file: "d.npy" } } }, { baseDir: folder })).rejects.toMatchObject({
      code: "io",
    });
    const dataset = await openDataset(manifest, { baseDir: folder });
    truncateSync(join(folder, "data/x.npy"), 140);
    await expect(first(dataset)).rejects.toThrow(/became shorter/);
  });
});
