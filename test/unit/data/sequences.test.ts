import { describe, expect, it } from "vitest";
import { CarriedStates } from "../../../src/data/carried-states.js";
import type { Batch, Dataset } from "../../../src/data/dataset.js";
import { datasetFromFiles } from "../../../src/data/from-files.js";
import type { DatasetManifest } from "../../../src/data/manifest.js";
import { someSamples } from "../../../src/data/splits.js";
import type { Tensor } from "../../../src/tensor.js";
import { float32 } from "../../support/tensors.js";
import { npyBytes } from "./npy-bytes.js";

// Four sequences of 3, 1, 4 and 2 steps.
const ids = Uint8Array.of(7, 7, 7, 3, 5, 5, 5, 5, 9, 9);
const size = ids.length;
const files = {
  "x.npy": npyBytes(
    "<f4",
    [size, 2],
    Float32Array.from({ length: size * 2 }, (_, i) => i),
  ),
  "ids.npy": npyBytes("|u1", [size], ids),
  "lengths.txt": new TextEncoder().encode("3\n1\n4\n2\n"),
  "back.npy": npyBytes("|u1", [size], Uint8Array.of(1, 1, 2, 2, 1, 1, 3, 3, 3, 3)),
};
const state = { stateOf: "after", dims: [1, "N", 3], initial: [1, 2, 3] } as const;
const manifest = {
  inputs: { x: { file: "x.npy" }, before: state },
  sequences: { file: "ids.npy" },
} satisfies DatasetManifest;

function open(changes: Partial<DatasetManifest> = {}): Promise<Dataset> {
  return datasetFromFiles({ ...manifest, ...changes }, files);
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const result: Batch[] = [];
  for await (const batch of batches) result.push(batch);
  return result;
}

describe("sequences", () => {
  it.each([{ file: "ids.npy" }, { lengths: "lengths.txt" }, { lengths: [3, 1, 4, 2] }])(
    "are told by %j",
    async (sequences) => {
      const dataset = await open({ sequences });
      expect(dataset.sequences).toEqual({
        count: 4,
        of: Int32Array.of(0, 0, 0, 1, 2, 2, 2, 2, 3, 3),
        starts: Int32Array.of(0, 3, 4, 8, 10),
      });
    },
  );

  it("of one length leave a shorter one at the end", async () => {
    const { sequences } = await open({ sequences: { length: 4 } });
    expect(sequences!.starts).toEqual(Int32Array.of(0, 4, 8, 10));
  });

  it.each<[unknown, RegExp]>([
    [{ file: "back.npy" }, /next to each other; received id 1 again at sample 4/],
    [{ lengths: [3, 1, 4] }, /10 steps in all.* received 8 steps/],
    [{}, /one of "file", "lengths" and "length"/],
    [{ length: 2, file: "ids.npy" }, /one of/],
    [undefined, /sequences.*where the sequences start and end/],
  ])("are refused from %j", async (sequences, message) => {
    await expect(open({ sequences } as DatasetManifest)).rejects.toThrow(message);
  });

  it("are in one split as a whole", async () => {
    const { splits } = await open({ splits: { calibration: [0, 1], search: { indices: [3, 1] }, verify: [2, 3] } });
    expect(splits).toEqual({
      calibration: Uint32Array.of(0, 1, 2),
      search: Uint32Array.of(8, 9, 3),
      verify: Uint32Array.of(4, 5, 6, 7),
    });
    await expect(open({ splits: { verify: [0, 5] } })).rejects.toThrow(/inside the 4 sequences/);
    await expect(open({ splits: { search: [0, 2], verify: [1, 2] } })).rejects.toThrow(/sequence 1 in search and/);
    const byDefault = (await open()).splits;
    for (const split of Object.values(byDefault)) {
      for (const index of split) expect(split.filter((i) => ids[i] === ids[index])).toHaveLength(count(ids[index]!));
    }
  });

  it("give samples from all of their length where some are enough", async () => {
    const dataset = await open({ splits: { verify: [0, 4] } });
    expect(someSamples(dataset, "verify", 4)).toEqual(Uint32Array.of(1, 3, 6, 8));
    expect(someSamples(dataset, "verify", 99)).toEqual(dataset.splits.verify);
  });
});

function count(id: number): number {
  return ids.filter((other) => other === id).length;
}

describe("states", () => {
  it("are fed at first steps alone, several sequences side by side, long ones first", async () => {
    const batches = await collect((await open()).batches("all", 3));
    expect(batches.map(({ indices }) => [...indices])).toEqual([[4, 0, 8], [5, 1, 9], [6, 2], [7], [3]]);
    expect(batches.map(({ sequences }) => [...sequences!])).toEqual([[2, 0, 3], [2, 0, 3], [2, 0], [2], [1]]);
    expect(batches.map(({ feeds }) => feeds.before?.dims)).toEqual([
      [1, 3, 3],
      undefined,
      undefined,
      undefined,
      [1, 1, 3],
    ]);
    expect([...batches[0]!.feeds.before!.data]).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });

  it("say where each sample is in the selection", async () => {
    const [first, second] = await collect((await open()).batches([8, 9, 0], 2));
    expect([...first!.places]).toEqual([0, 2]);
    expect([...second!.places]).toEqual([1]);
  });

  it("go from each step to the next of the same sequence", async () => {
    const dataset = await open();
    const seen: Record<number, number[]> = {};
    const carried = new CarriedStates(dataset);
    for (const batch of await collect(dataset.batches("all", 3))) {
      const { before } = carried.feedsOf(batch);
      for (const [i, index] of batch.indices.entries())
        seen[index] = [...before!.data].slice(3 * i, 3 * i + 3) as number[];
      carried.take(batch, { after: map(before!, (value) => 10 * value) });
    }
    expect(seen).toEqual(
      Object.fromEntries([0, 1, 2, 0, 0, 1, 2, 3, 0, 1].map((t, i) => [i, [1, 2, 3].map((v) => v * 10 ** t)])),
    );
  });

  it("may grow, one sequence at a time or all alike", async () => {
    const growing = { stateOf: "after", dims: ["N", 0, 2] } as const;
    const dataset = await open({ inputs: { x: { file: "x.npy" }, cache: growing } });
    const widths: number[] = [];
    const carried = new CarriedStates(dataset);
    for (const batch of await collect(dataset.batches("all", 2))) {
      const { dims } = carried.feedsOf(batch).cache!;
      widths.push(dims[1]!);
      carried.take(batch, {
        after: float32([dims[0]!, dims[1]! + 1, 2], new Float32Array(dims[0]! * (dims[1]! + 1) * 2)),
      });
    }
    expect(widths).toEqual([0, 1, 2, 3, 0, 1]);
  });

  it("without an axis for the batch are those of one sequence", async () => {
    const dataset = await open({ inputs: { x: { file: "x.npy" }, before: { stateOf: "after", dims: [3] } } });
    const [batch] = await collect(dataset.batches("all", 1));
    expect(batch!.feeds.before!.dims).toEqual([3]);
    await expect(collect(dataset.batches("all", 2))).rejects.toThrow(/no axis "N".*batch size of 1/);
  });

  it("need all steps before the one that is wanted", async () => {
    const dataset = await open();
    expect(await collect(dataset.batches([4, 5], 8))).toHaveLength(2);
    await expect(collect(dataset.batches([4, 6], 8))).rejects.toThrow(/sample 6: a step is chosen without/);
  });

  it("are refused from another output than one of their type and batch", async () => {
    const dataset = await open();
    const carried = new CarriedStates(dataset);
    const [batch] = await collect(dataset.batches("all", 3));
    expect(() => carried.take(batch!, { other: float32([1], [1]) })).toThrow(
      /output after, input before.*no such output/,
    );
    expect(() => carried.take(batch!, { after: float32([1, 2, 3], new Float32Array(6)) })).toThrow(/3 sequences/);
  });

  it("that are known make every step a sample of its own", async () => {
    const dataset = await open();
    const known = dataset.withStates(
      new Map([["before", (i: number) => ({ dims: [1, 3], data: Float32Array.of(i, i, i) })]]),
    );
    expect(known.states).toEqual([]);
    const [batch] = await collect(known.batches([6, 1], 8));
    expect(batch!.feeds.before).toEqual(float32([1, 2, 3], [6, 6, 6, 1, 1, 1]));
    expect(await known.hash()).toBe(await dataset.hash());
  });

  it.each<[unknown, RegExp]>([
    [{ stateOf: "after", dims: ["N", "N"] }, /"N" once at most/],
    [{ stateOf: "after", dims: [2], initial: [1, 2, 3] }, /initial: .*2 elements/],
    [{ stateOf: "after" }, /dims/],
  ])("are refused as %j", async (before, message) => {
    const inputs = { x: { file: "x.npy" }, before } as DatasetManifest["inputs"];
    await expect(open({ inputs })).rejects.toThrow(message);
  });
});

function map({ dims, data }: Tensor, change: (value: number) => number): Tensor {
  return float32(dims, Array.from(data as Float32Array, change));
}
