import { describe, expect, it } from "vitest";
import type { Batch, Dataset } from "../../../src/data/dataset.js";
import { Field } from "../../../src/data/field.js";
import { memoryFiles } from "../../../src/data/files.js";
import { openManifest } from "../../../src/data/open.js";
import { npyBytes } from "./npy-bytes.js";

const size = 10;
const pixels = Uint8Array.from({ length: size * 2 * 2 * 3 }, (_, i) => (i * 37) % 256);

const files = {
  "images.npy": npyBytes("|u1", [size, 2, 2, 3], pixels),
  "labels.npy": npyBytes(
    "<i8",
    [size],
    BigInt64Array.from({ length: size }, (_, i) => BigInt(i % 4)),
  ),
  "few.npy": npyBytes("|u1", [3], Uint8Array.of(0, 1, 2)),
  "ids.npy": npyBytes("<i4", [3, 4], Int32Array.of(5, 6, 7, 99, 8, 9, 99, 99, 1, 2, 3, 4)),
  "lengths.npy": npyBytes("<i4", [3], Int32Array.of(3, 2, 4)),
  "ids.jsonl": new TextEncoder().encode('{"ids": [5, 6, 7], "label": 1}\n[8, 9]\n\n{"ids": [1]}\n'),
  "nan.npy": npyBytes("<f4", [2, 2], Float32Array.of(1, 2, 3, Number.NaN)),
  "state.npy": npyBytes(
    "<f4",
    [2, 3, 2],
    Float32Array.from({ length: 12 }, (_, i) => i),
  ),
  "labels.json": new TextEncoder().encode(JSON.stringify([3, { label: 2 }, 1])),
  "labels.txt": new TextEncoder().encode("3\n2\n1\n"),
};

const noDecoder = async () => expect.fail("no picture was to be decoded");

function open(manifest: unknown, more: Record<string, Uint8Array> = {}): Promise<Dataset> {
  const reading = { files: memoryFiles({ ...files, ...more }), decodeImage: noDecoder };
  return openManifest(new Field("dataset.json", "", manifest), reading);
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const result: Batch[] = [];
  for await (const batch of batches) result.push(batch);
  return result;
}

const input = {
  file: "images.npy",
  layout: "NHWC>NCHW",
  channels: "BGR",
  scale: 1 / 255,
  mean: [0.1, 0.2, 0.3],
  std: 0.5,
};

describe("feeds", () => {
  it("compute (v * scale - mean) / std in double, with channels in the model's order", async () => {
    const dataset = await open({ inputs: { x: input }, labels: { file: "labels.npy", offset: 1 } });
    const [batch] = await collect(dataset.batches([7, 2], 8));
    const expected = [7, 2].flatMap((n) =>
      [2, 1, 0].flatMap((stored, c) =>
        [0, 1, 2, 3].map((p) =>
          Math.fround((pixels[(n * 4 + p) * 3 + stored]! * (1 / 255) - [0.1, 0.2, 0.3][c]!) / 0.5),
        ),
      ),
    );
    expect(batch!.feeds.x).toEqual({ dtype: "float32", dims: [2, 3, 2, 2], data: Float32Array.from(expected) });
    expect([...batch!.labels!]).toEqual([4, 3]);
    expect([...batch!.indices]).toEqual([7, 2]);
  });

  it("are the same bits for bytes and for the same numbers stored as floats", async () => {
    const floats = { "f.npy": npyBytes("<f8", [size, 2, 2, 3], Float64Array.from(pixels)) };
    const [fromBytes] = await collect((await open({ inputs: { x: input } })).batches("all", size));
    const [fromFloats] = await collect(
      (await open({ inputs: { x: { ...input, file: "f.npy" } } }, floats)).batches("all", size),
    );
    expect(fromFloats!.feeds).toEqual(fromBytes!.feeds);
  });

  it("do not depend on how samples are split into batches", async () => {
    const dataset = await open({ inputs: { x: input } });
    const [whole] = await collect(dataset.batches("all", size));
    const parts = await collect(dataset.batches("all", 3));
    expect(parts.map(({ indices }) => indices.length)).toEqual([3, 3, 3, 1]);
    const joined = parts.flatMap(({ feeds }) => [...(feeds.x!.data as Float32Array)]);
    expect(Float32Array.from(joined)).toEqual(whole!.feeds.x!.data);
  });

  it("put several files one after the other", async () => {
    const dataset = await open({
      inputs: { x: { file: ["images.npy", "images.npy"], dtype: "uint8" } },
      labels: { file: ["labels.npy", "labels.npy"] },
    });
    expect(dataset.size).toBe(2 * size);
    const [batch] = await collect(dataset.batches([3, 13, 9, 10], 4));
    const row = (i: number) => [...pixels.subarray(i * 12, (i + 1) * 12)];
    expect([...(batch!.feeds.x!.data as Uint8Array)]).toEqual([...row(3), ...row(3), ...row(9), ...row(0)]);
    expect([...batch!.labels!]).toEqual([3, 3, 1, 0]);
  });

  it("stack samples along the axis the model wants", async () => {
    const dataset = await open({ inputs: { state: { file: "state.npy", layout: "LND" } } });
    expect(dataset.inputs).toEqual([{ name: "state", dtype: "float32", dims: [2, null, 2], batchAxis: 1 }]);
    const [batch] = await collect(dataset.batches([2, 0], 2));
    expect(batch!.feeds.state).toEqual({
      dtype: "float32",
      dims: [2, 2, 2],
      data: Float32Array.of(4, 5, 0, 1, 10, 11, 6, 7),
    });
  });
});

describe("sequences", () => {
  const ids = { file: "ids.npy", lengths: "lengths.npy", dtype: "int64", pad: 0 };
  const inputs = { ids, mask: { maskOf: "ids" } };

  it("are padded to the longest of the data set, with a mask", async () => {
    const [batch] = await collect((await open({ inputs })).batches([1, 0], 2));
    expect(batch!.feeds.ids).toEqual({
      dtype: "int64",
      dims: [2, 4],
      data: BigInt64Array.of(8n, 9n, 0n, 0n, 5n, 6n, 7n, 0n),
    });
    expect(batch!.feeds.mask!.data).toEqual(BigInt64Array.of(1n, 1n, 0n, 0n, 1n, 1n, 1n, 0n));
  });

  it("are batched by length, or padded to a number", async () => {
    const sorted = await open({ inputs: { ...inputs, ids: { ...ids, padTo: "batch" } } });
    const batches = await collect(sorted.batches([2, 0, 1, 0], 2));
    expect(batches.map(({ feeds }) => feeds.ids!.dims)).toEqual([
      [1, 2],
      [2, 3],
      [1, 4],
    ]);
    expect(batches.map(({ feeds }) => feeds.mask!.dims)).toEqual(batches.map(({ feeds }) => feeds.ids!.dims));
    expect(batches.map(({ indices }) => [...indices])).toEqual([[1], [0, 0], [2]]);
    expect(batches.map(({ places }) => [...places])).toEqual([[2], [1, 3], [0]]);
    const [wide] = await collect((await open({ inputs: { ...inputs, ids: { ...ids, padTo: 6 } } })).batches([1], 2));
    expect(wide!.feeds.ids!.dims).toEqual([1, 6]);
    await expect(open({ inputs: { ids: { ...ids, padTo: 3 } } })).rejects.toThrow(/padTo.*at least 4/);
  });

  it("come from lines of JSON with lengths of their own", async () => {
    const dataset = await open({ inputs: { ids: { file: "ids.jsonl", pad: 7 } } });
    const [batch] = await collect(dataset.batches("all", 3));
    expect(batch!.feeds.ids).toEqual({
      dtype: "int64",
      dims: [3, 3],
      data: BigInt64Array.of(5n, 6n, 7n, 8n, 9n, 7n, 1n, 7n, 7n),
    });
  });

  it("label each token with the next", async () => {
    const dataset = await open({ inputs: { ids }, labels: { nextOf: "ids" }, metric: "perplexity" });
    expect(dataset.labels).toBeUndefined();
    const [batch] = await collect(dataset.batches([0, 2], 2));
    expect([...batch!.labels!]).toEqual([6, 7, -1, -1, 2, 3, 4, -1]);
  });
});

describe("constants and targets", () => {
  it("feeds a constant to every batch and carries targets", async () => {
    const dataset = await open({
      inputs: {
        x: { file: "few.npy" },
        rate: { value: 16000, dtype: "int64" },
        zeros: { value: 0, dims: [2, 2] },
        list: { value: [1, 2], dtype: "int32" },
      },
      targets: { file: "few.npy", scale: 2 },
      metric: "spearman",
    });
    const batches = await collect(dataset.batches("all", 2));
    expect(batches).toHaveLength(2);
    expect(batches[1]!.feeds.rate).toEqual({ dtype: "int64", dims: [], data: BigInt64Array.of(16000n) });
    expect(batches[1]!.feeds.zeros!.data).toEqual(new Float32Array(4));
    expect(batches[1]!.feeds.list).toEqual({ dtype: "int32", dims: [2], data: Int32Array.of(1, 2) });
    expect(batches[1]!.targets).toEqual({ dtype: "float32", dims: [1], data: Float32Array.of(4) });
  });
});

describe("labels", () => {
  it.each(["labels.json", "labels.txt"])("are read from %s", async (file) => {
    const dataset = await open({ inputs: { x: { file: "few.npy" } }, labels: { file } });
    expect([...dataset.labels!]).toEqual([3, 2, 1]);
  });
});

describe("wrong data", () => {
  it.each([
    [
      "another number of labels",
      { inputs: { x: input }, labels: { file: "few.npy" } },
      /expected 10 labels; received 3/,
    ],
    [
      "inputs of different lengths",
      { inputs: { a: input, b: { file: "few.npy" } } },
      /10 samples, as in a; received 3 in b/,
    ],
    [
      "labels below zero",
      { inputs: { x: { file: "few.npy" } }, labels: { file: "few.npy", offset: -1 } },
      /negative.*-1 for sample 0/,
    ],
    ["float labels", { inputs: { x: input }, labels: { file: "nan.npy" } }, /one-dimensional integer array/],
    [
      "rows without lengths",
      { inputs: { x: { file: "ids.npy", lengths: "labels.npy" } } },
      /3 lengths between 1 and 4/,
    ],
    ["a mask of something else", { inputs: { x: input, m: { maskOf: "x" } } }, /maskOf: .*input of sequences/],
    [
      "targets of another number",
      { inputs: { x: input }, targets: { file: "few.npy" }, metric: "psnr" },
      /targets: .*10 samples/,
    ],
    ["only constants", { inputs: { x: { value: 1 } } }, /reads samples from a file/],
    ["a file that is missing", { inputs: { x: { file: "none.npy" } } }, /none\.npy: no such file/],
    ["a rank that the layout does not have", { inputs: { x: { file: "few.npy", layout: "NHWC" } } }, /axes HWC/],
  ])("refuses %s", async (_, manifest, message) => {
    await expect(open(manifest)).rejects.toThrow(message);
  });

  it.each([
    ["a value that is not a number", { file: "nan.npy" }, /nan\.npy, sample 1: .*not finite.*NaN at element 1/],
    ["a value beyond its type", { file: "images.npy", dtype: "int8" }, /does not fit its type.*\[-128, 127\] for int8/],
    ["a fraction for an integer", { file: "nan.npy", dtype: "int32" }, /an integer in/],
    [
      "a list that does not fit the channels",
      { ...input, mean: [1, 2] },
      /mean does not fit.*1 or 3 entries; received 2/,
    ],
  ])("refuses %s when it is read", async (_, x, message) => {
    const dataset = await open({ inputs: { x } });
    await expect(collect(dataset.batches("all", 4))).rejects.toThrow(message);
    await expect(collect(dataset.batches("all", 4))).rejects.toMatchObject({ code: "invalid-data" });
  });
});

describe("batches", () => {
  it("refuses samples and sizes that do not exist", async () => {
    const dataset = await open({ inputs: { x: input } });
    expect(() => dataset.batches([10], 1)).toThrow(/index in \[0, 9\]; received 10/);
    expect(() => dataset.batches("all", 0)).toThrow(/positive integer/);
  });

  it("stops when aborted, and can be left early", async () => {
    const dataset = await open({ inputs: { x: input } });
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of dataset.batches("all", 2, { signal: stop.signal })) stop.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    for await (const _ of dataset.batches("all", 2)) break;
  });
});

describe("hash", () => {
  it("changes with the data, the labels and the manifest, not with the order of its fields", async () => {
    const hash = async (manifest: unknown, more = {}) => (await open(manifest, more)).hash();
    const plain = await hash({ inputs: { x: input }, labels: { file: "labels.npy" } });
    expect(plain).toMatch(/^[0-9a-f]{64}$/);
    expect(await hash({ labels: { file: "labels.npy" }, inputs: { x: input } })).toBe(plain);
    expect(await hash({ inputs: { x: { ...input, std: 0.25 } }, labels: { file: "labels.npy" } })).not.toBe(plain);
    expect(await hash({ inputs: { x: input } })).not.toBe(plain);
    const changed = Uint8Array.from(files["images.npy"]);
    changed[changed.length - 1]! ^= 1;
    expect(await hash({ inputs: { x: input }, labels: { file: "labels.npy" } }, { "images.npy": changed })).not.toBe(
      plain,
    );
  });
});
