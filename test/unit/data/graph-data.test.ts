import { describe, expect, it } from "vitest";
import { Field } from "../../../src/data/field.js";
import { memoryFiles } from "../../../src/data/files.js";
import { createScorer } from "../../../src/data/metrics/scorer.js";
import { openManifest } from "../../../src/data/open.js";
import { float32 } from "../../support/tensors.js";
import { npyBytes } from "./npy-bytes.js";

const places = (...pairs: [number, number][]) =>
  npyBytes(
    "<i4",
    [2, pairs.length],
    Int32Array.from([...pairs.map(([row]) => row), ...pairs.map(([, column]) => column)]),
  );
const files = {
  // A path of three nodes with self-loops, and a node by itself.
  "edges.npy": places([0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 1], [2, 2], [3, 3]),
  "words.npy": places([2, 1], [0, 0], [2, 4], [0, 3], [0, 3]),
  "labels.npy": npyBytes("<i4", [4], Int32Array.of(1, 0, 1, 0)),
};
const splits = { calibration: [0, 1], search: [1, 2], verify: [2, 4] };
const adjacency = { file: "edges.npy", sparse: { rows: 4, columns: 4, normalize: "symmetric" } };

function open(manifest: object) {
  const decodeImage = async () => expect.fail("no picture was to be decoded");
  const root = new Field("dataset.json", "", { labels: { file: "labels.npy" }, ...manifest });
  return openManifest(root, { files: memoryFiles(files), decodeImage });
}

describe("sparse matrices", () => {
  it.each([
    [undefined, [1, 0, 0, 2, 0], [0, 1, 0, 0, 1]],
    ["row", [1 / 3, 0, 0, 2 / 3, 0], [0, 1 / 2, 0, 0, 1 / 2]],
  ])("give their rows as samples, normalized by %s", async (normalize, first, third) => {
    const dataset = await open({ inputs: { x: { file: "words.npy", sparse: { rows: 4, columns: 5, normalize } } } });
    for await (const { feeds } of dataset.batches([2, 0, 1], 8)) {
      expect(feeds.x).toEqual(float32([3, 5], [...third, ...first, 0, 0, 0, 0, 0].map(Math.fround)));
    }
  });

  it("are normalized by the degrees of rows and columns", async () => {
    const dataset = await open({ inputs: { adj: adjacency } });
    const s = 1 / Math.sqrt(6);
    const expected = [1 / 2, s, 0, 0, s, 1 / 3, s, 0, 0, s, 1 / 2, 0, 0, 0, 0, 1].map(Math.fround);
    for await (const { feeds } of dataset.batches("all", 4)) {
      expect(feeds.adj!.dims).toEqual([4, 4]);
      for (const [i, value] of expected.entries()) expect(Number(feeds.adj!.data[i])).toBeCloseTo(value, 7);
    }
  });

  it.each<[string, object, RegExp]>([
    ["places outside", { file: "edges.npy", sparse: { rows: 4, columns: 3 } }, /entry 7: .*received \[3, 3\]/],
    ["other arrays", { file: "labels.npy", sparse: { rows: 4, columns: 3 } }, /integer array of shape \[2, places\]/],
    [
      "symmetric normalization of rectangles",
      { file: "edges.npy", sparse: { rows: 4, columns: 5, normalize: "symmetric" } },
      /as many columns as rows/,
    ],
  ])("refuse %s", async (_, input, message) => {
    await expect(open({ inputs: { x: input } })).rejects.toThrow(message);
  });
});

describe("a transductive data set", () => {
  const manifest = { inputs: { adj: adjacency }, transductive: true, splits };

  it("feeds all samples in every batch, with the labels of the chosen ones", async () => {
    const dataset = await open(manifest);
    const batches = [];
    for await (const batch of dataset.batches("verify", 1)) batches.push(batch);
    expect(batches).toHaveLength(1);
    expect(batches[0]!.feeds.adj!.dims).toEqual([4, 4]);
    expect(batches[0]!.labels).toEqual(Int32Array.of(-1, -1, 1, 0));
  });

  it("is judged by the chosen samples", async () => {
    const dataset = await open(manifest);
    const scorer = createScorer(dataset.metric);
    const logits = float32([4, 2], [9, 0, 0, 9, 0, 9, 0, 9]);
    for await (const batch of dataset.batches("verify", 8)) scorer.add(batch, { logits });
    const { value, scores } = scorer.result();
    expect(value).toBe(0.5);
    expect(scores.correct).toEqual(Uint8Array.of(1, 0));
  });

  it("needs class labels", async () => {
    await expect(open({ ...manifest, labels: undefined })).rejects.toThrow(/transductive: .*without class labels/);
  });
});
