import { describe, expect, it } from "vitest";
import { datasetFrom } from "../../../src/data/from-feeds.js";
import type { Feeds, Tensor } from "../../../src/tensor.js";
import { randomTensor } from "../../support/tensors.js";

const f32 = (dims: number[], ...values: number[]): Tensor => ({
  dtype: "float32",
  dims,
  data: Float32Array.from(values),
});

describe("data set from tensors", () => {
  it("takes all samples at once, or an iterable of feeds, to the same effect", async () => {
    const labels = [0, 1, 2];
    const whole = await datasetFrom({ x: f32([3, 2], 1, 2, 3, 4, 5, 6) }, { labels });
    async function* stream(): AsyncGenerator<Feeds> {
      const buffer = new Float32Array(4);
      for (const values of [
        [1, 2, 3, 4],
        [5, 6],
      ]) {
        buffer.set(values);
        yield { x: { dtype: "float32", dims: [values.length / 2, 2], data: buffer.subarray(0, values.length) } };
      }
    }
    const streamed = await datasetFrom(stream(), { labels });
    expect(streamed.size).toBe(3);
    expect(streamed.metric.name).toBe("top1");
    expect(await streamed.hash()).toBe(await whole.hash());
    for await (const { feeds, labels: classes } of streamed.batches([2, 0], 2)) {
      expect(feeds.x).toEqual(f32([2, 2], 5, 6, 1, 2));
      expect([...classes!]).toEqual([2, 0]);
    }
  });

  it("takes targets, splits and a metric, by name or of one's own", async () => {
    const x = f32([4, 1], 1, 2, 3, 4);
    const named = await datasetFrom(
      { x },
      { targets: f32([4], 1, 2, 3, 4), metric: "spearman", splits: { verify: [1, 4] } },
    );
    expect([...named.splits.verify]).toEqual([1, 2, 3]);
    for await (const { targets } of named.batches("verify", 8)) expect(targets).toEqual(f32([3], 2, 3, 4));
    const own = await datasetFrom({ x }, { metric: () => [0] });
    expect(own.metric.needs).toBe("nothing");
  });

  it.each<[string, Feeds | Feeds[], object, RegExp]>([
    ["no feeds", [], {}, /no samples/],
    [
      "inputs of different length",
      { x: f32([2], 1, 2), y: f32([1], 1) },
      {},
      /y: inputs of different numbers of samples; expected 2; received 1/,
    ],
    [
      "feeds of different inputs",
      [{ x: f32([1], 1) }, { y: f32([1], 1) }],
      {},
      /different inputs; expected x; received y/,
    ],
    [
      "feeds of different types",
      [{ x: f32([1], 1) }, { x: { dtype: "int32", dims: [1], data: Int32Array.of(1) } }],
      {},
      /expected float32; received int32/,
    ],
    [
      "a shape that is not the data's",
      { x: f32([2, 2], 1) },
      {},
      /x: unusable tensor; expected 4 elements, samples first; received 1/,
    ],
    ["values that are not numbers", { x: f32([1], Number.NaN) }, {}, /x: .*not finite/],
    ["labels of another number", { x: f32([1], 1) }, { labels: [1, 2] }, /expected 1 labels; received 2/],
    [
      "targets of another number",
      { x: f32([1], 1) },
      { targets: f32([2], 1, 2), metric: "psnr" },
      /targets: .*expected 1; received 2/,
    ],
    ["a metric without what it needs", { x: f32([1], 1) }, { metric: "top1" }, /needs labels/],
  ])("refuses %s", async (_, feeds, options, message) => {
    await expect(datasetFrom(feeds, options)).rejects.toThrow(message);
  });
});

describe("datasetFrom with constants", () => {
  const rate = (value: number): Tensor => ({ dtype: "int64", dims: [], data: BigInt64Array.of(BigInt(value)) });
  const feeds = { x: randomTensor([4, 2], 1) };

  it("feeds them beside any samples, and hashes them", async () => {
    const dataset = await datasetFrom(feeds, { constants: { rate: rate(16000) } });
    expect(dataset.size).toBe(4);
    expect(dataset.constants).toEqual({ rate: rate(16000) });
    for await (const batch of dataset.batches("all", 3)) expect(batch.feeds.rate).toEqual(rate(16000));
    const other = await datasetFrom(feeds, { constants: { rate: rate(8000) } });
    expect(await other.hash()).not.toBe(await dataset.hash());
  });

  it("refuses one that has samples too", async () => {
    await expect(datasetFrom(feeds, { constants: { x: rate(1) } })).rejects.toMatchObject({ where: "constants.x" });
  });

  it("says where a scalar among the samples belongs", async () => {
    await expect(datasetFrom({ ...feeds, rate: rate(1) })).rejects.toMatchObject({
      where: "rate",
      expected: expect.stringContaining("constants"),
    });
  });
});
