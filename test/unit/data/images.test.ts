import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Batch } from "../../../src/data/dataset.js";
import { datasetFromFiles } from "../../../src/data/from-files.js";
import type { DatasetManifest } from "../../../src/data/manifest.js";
import { openDataset } from "../../../src/data/open-node.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bitwright-images-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A picture whose channels are functions of the place, stored without loss. */
async function picture(name: string, width: number, height: number, channels: 1 | 3 | 4 = 3): Promise<Uint8Array> {
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 7 + name.length) % 256);
  await sharp(pixels, { raw: { width, height, channels } }).png().toFile(join(folder, name));
  return pixels;
}

async function read(input: DatasetManifest["inputs"][string], batchSize = 8): Promise<Batch[]> {
  const batches: Batch[] = [];
  const dataset = await openDataset({ inputs: { x: input } }, { baseDir: folder });
  for await (const batch of dataset.batches("all", batchSize)) batches.push(batch);
  return batches;
}

const bytes = (batch: Batch | undefined) => [...(batch!.feeds.x!.data as Float32Array)];

describe("pictures", () => {
  it("are decoded to RGB, channels first", async () => {
    const pixels = await picture("a.png", 4, 2);
    const [batch] = await read({ file: "a.png" });
    expect(batch!.feeds.x!.dims).toEqual([1, 3, 2, 4]);
    expect(bytes(batch)).toEqual([0, 1, 2].flatMap((c) => [...pixels].filter((_, i) => i % 3 === c)));
    const [stored] = await read({ file: "a.png", layout: "NHWC", dtype: "uint8" });
    expect(stored!.feeds.x!.data).toEqual(pixels);
  });

  it("lose their transparency; gray ones have three equal channels, or one", async () => {
    const pixels = await picture("rgba.png", 2, 2, 4);
    expect(bytes((await read({ file: "rgba.png", layout: "NHWC" }))[0])).toEqual(
      [...pixels].filter((_, i) => i % 4 < 3),
    );
    const gray = await picture("gray.png", 3, 1, 1);
    expect(bytes((await read({ file: "gray.png", layout: "NHWC" }))[0])).toEqual([...gray].flatMap((v) => [v, v, v]));
    const [one] = await read({ file: "gray.png", channels: "GRAY" });
    expect(one!.feeds.x!.dims).toEqual([1, 1, 1, 3]);
    expect(bytes(one)).toEqual([...gray]);
  });

  it("are cut to their centre", async () => {
    const pixels = await picture("a.png", 6, 5);
    const [batch] = await read({ file: "a.png", crop: [2, 3], layout: "NHWC" });
    const row = (y: number) => [...pixels.subarray((y * 6 + 1) * 3, (y * 6 + 4) * 3)];
    expect(batch!.feeds.x!.dims).toEqual([1, 2, 3, 3]);
    expect(bytes(batch)).toEqual([...row(1), ...row(2)]);
  });

  it("are resized by their shorter side, or to a given size", async () => {
    await picture("wide.png", 40, 20);
    await picture("tall.png", 20, 40);
    expect((await read({ file: "wide.png", resize: 10 }))[0]!.feeds.x!.dims).toEqual([1, 3, 10, 20]);
    expect((await read({ file: "tall.png", resize: 10 }))[0]!.feeds.x!.dims).toEqual([1, 3, 20, 10]);
    expect((await read({ file: "tall.png", resize: [8, 9] }))[0]!.feeds.x!.dims).toEqual([1, 3, 8, 9]);
    const [cropped] = await read({ file: ["wide.png", "tall.png"], resize: 16, crop: 16 });
    expect(cropped!.feeds.x!.dims).toEqual([2, 3, 16, 16]);
  });

  it("keep a uniform colour under every filter", async () => {
    const colour = { r: 200, g: 100, b: 50 };
    await sharp({ create: { width: 30, height: 30, channels: 3, background: colour } })
      .png()
      .toFile(join(folder, "u.png"));
    for (const filter of ["bilinear", "bicubic", "lanczos", "nearest"] as const) {
      const [batch] = await read({ file: "u.png", resize: 7, filter, layout: "NHWC" });
      expect(bytes(batch)).toEqual(new Array(49).fill([200, 100, 50]).flat());
    }
  });

  it("come from a folder in the order of their names, other files left out", async () => {
    mkdirSync(join(folder, "set"));
    const [b, a] = [await picture("set/b.png", 2, 2), await picture("set/a10.png", 2, 2)];
    writeFileSync(join(folder, "set", "notes.md"), "not a picture");
    expect(bytes((await read({ file: "set", layout: "NHWC" }))[0])).toEqual([...a, ...b]);
  });

  it("come from lists whose paths are relative to the list", async () => {
    mkdirSync(join(folder, "set"));
    const pixels = await picture("set/b.png", 2, 2);
    writeFileSync(join(folder, "set", "list.txt"), "b.png\r\n\nb.png\n");
    writeFileSync(join(folder, "set", "list.json"), JSON.stringify(["b.png", { path: "b.png" }]));
    expect(bytes((await read({ file: "set/list.txt", layout: "NHWC" }))[0])).toEqual([...pixels, ...pixels]);
    expect(bytes((await read({ file: "set/list.json", field: "path", layout: "NHWC" }))[0])).toEqual([
      ...pixels,
      ...pixels,
    ]);
  });

  it("of different sizes are put in batches of equal size, in order", async () => {
    await picture("a.png", 4, 4);
    await picture("b.png", 4, 4);
    await picture("c.png", 2, 4);
    const batches = await read({ file: ["a.png", "b.png", "c.png", "a.png"] }, 3);
    expect(batches.map(({ indices }) => [...indices])).toEqual([[0, 1], [2], [3]]);
  });

  it("that are damaged, missing or too small are named", async () => {
    const pixels = await sharp({ create: { width: 64, height: 64, channels: 3, background: "red" } })
      .jpeg()
      .toBuffer();
    writeFileSync(join(folder, "cut.jpg"), pixels.subarray(0, pixels.length / 2));
    writeFileSync(join(folder, "text.png"), "hello");
    await picture("a.png", 4, 4);
    await expect(read({ file: "cut.jpg" })).rejects.toThrow(/cut\.jpg: the picture cannot be decoded/);
    await expect(read({ file: "text.png" })).rejects.toMatchObject({ code: "invalid-data" });
    await expect(read({ file: "none.png" })).rejects.toThrow(/none\.png: no such file/);
    await expect(read({ file: "a.png", crop: 8 })).rejects.toThrow(
      /smaller than its crop; expected at least 8x8; received 4x4/,
    );
    mkdirSync(join(folder, "empty"));
    await expect(read({ file: "empty" })).rejects.toThrow(/no pictures found/);
  });

  it("of the next batch are decoded while the current one is used, and no further ahead", async () => {
    const names = ["a.png", "b.png", "c.png", "d.png"];
    const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(1)]));
    const decoded: string[] = [];
    const decodeImage = async (_: Uint8Array, __: unknown, where: string) => {
      decoded.push(where);
      return { height: 1, width: 1, data: Uint8Array.of(1, 2, 3) };
    };
    const dataset = await datasetFromFiles({ inputs: { x: { file: names } } }, files, { decodeImage });
    const batches = dataset.batches("all", 1)[Symbol.asyncIterator]();
    await batches.next();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(decoded).toEqual(["a.png", "b.png"]);
    await batches.return?.();
  });

  it("need a decoder where there is no sharp", async () => {
    const dataset = await datasetFromFiles({ inputs: { x: { file: "a.png" } } }, { "a.png": new Uint8Array(4) });
    await expect(dataset.batches("all", 1)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "runtime-missing",
    });
    const decodeImage = async () => ({ height: 1, width: 1, data: Uint8Array.of(1, 2, 3) });
    const own = await datasetFromFiles(
      { inputs: { x: { file: "a.png" } } },
      { "a.png": new Uint8Array(4) },
      { decodeImage },
    );
    for await (const batch of own.batches("all", 1)) expect(bytes(batch)).toEqual([1, 2, 3]);
  });
});
