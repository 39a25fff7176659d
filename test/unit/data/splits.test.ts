import { describe, expect, it } from "vitest";
import { Field } from "../../../src/data/field.js";
import { defaultSplits, parseSplits, requireSamples } from "../../../src/data/splits.js";

const resolve = (splits: unknown, size: number) => {
  const { calibration, search, verify } = parseSplits(new Field("dataset.json", "splits", splits))(size);
  return { calibration: [...calibration], search: [...search], verify: [...verify] };
};

describe("splits", () => {
  it("are ranges, periodic choices or lists; one that is not named is empty", () => {
    expect(resolve({ calibration: [0, 2], verify: { indices: [9, 4] } }, 10)).toEqual({
      calibration: [0, 1],
      search: [],
      verify: [9, 4],
    });
    expect(resolve({ calibration: { every: 4 }, search: { every: 4, at: [1, 3], range: [4, 10] } }, 10)).toEqual({
      calibration: [0, 4, 8],
      search: [5, 7, 9],
      verify: [],
    });
  });

  it("count the period from the start of the range", () => {
    expect(resolve({ search: { every: 3, range: [4, 10] } }, 10).search).toEqual([4, 7]);
  });

  it.each([
    [{ calibration: [0, 5], verify: [4, 6] }, /sample 4 in calibration and verify/],
    [{ search: { indices: [1, 1] } }, /sample 1 twice in search/],
    [{ verify: [0, 11] }, /splits\.verify: .*inside the 10 samples/],
    [{ verify: { every: 2, range: [0, 99] } }, /splits\.verify\.range: .*inside the 10 samples/],
    [{ verify: { indices: [3, 10] } }, /splits\.verify\.indices\[1\]: .*\[0, 9\]; received 10/],
    [{ verify: { every: 2, at: 2 } }, /splits\.verify\.at: .*\[0, 1\]/],
    [{ verify: { every: 0 } }, /splits\.verify\.every/],
    [{ verify: [5, 3] }, /splits\.verify\[1\]: .*integer from 5/],
    [{ verify: [1, 2, 3] }, /splits\.verify: .*\[first, end\).*"indices"/],
    [{ test: [0, 1] }, /splits\.test: .*calibration, search, verify/],
    [{ verify: -1 }, /splits\.verify: .*an object/],
  ])("refuse %j", (splits, message) => {
    expect(() => resolve(splits, 10)).toThrow(message);
  });
});

describe("default splits", () => {
  it("shuffle every sample into exactly one, the same each time", () => {
    const splits = defaultSplits(1000);
    expect([splits.calibration.length, splits.search.length, splits.verify.length]).toEqual([200, 300, 500]);
    const all = [...splits.calibration, ...splits.search, ...splits.verify].sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(defaultSplits(1000)).toEqual(splits);
  });

  it("do not follow the order of the data", () => {
    // Of 1000 samples in ten blocks of one class each, every class is near its share of the calibration samples.
    const counts = new Array(10).fill(0);
    for (const index of defaultSplits(1000).calibration) counts[Math.floor(index / 100)]++;
    expect(Math.min(...counts)).toBeGreaterThan(8);
    // The same where the classes take turns.
    const turns = new Array(10).fill(0);
    for (const index of defaultSplits(1000).calibration) turns[index % 10]++;
    expect(Math.min(...turns)).toBeGreaterThan(8);
  });

  it("bound calibration, and leave a single sample for verification", () => {
    expect(defaultSplits(50_000).calibration.length).toBe(512);
    expect(defaultSplits(1)).toEqual({
      calibration: new Uint32Array(),
      search: new Uint32Array(),
      verify: Uint32Array.of(0),
    });
  });
});

describe("splits that are needed", () => {
  it("are named when they have no samples", () => {
    const splits = parseSplits(new Field("d", "splits", { calibration: [0, 2], search: [2, 4] }))(4);
    expect(() => requireSamples(splits, ["calibration", "search"])).not.toThrow();
    expect(() => requireSamples(splits, ["search", "verify"])).toThrow(/^splits\.verify: the verify split is empty/);
  });
});
