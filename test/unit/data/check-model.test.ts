import { describe, expect, it } from "vitest";
import { checkAgainstModel, fitDataset } from "../../../src/data/check-model.js";
import { datasetFromFiles } from "../../../src/data/from-files.js";
import { type Dataset, datasetFrom } from "../../../src/index.js";
import { buildModel } from "../../support/model-builder.js";
import { float32 } from "../../support/tensors.js";

describe("check against a model", () => {
  const dataset = {
    inputs: [
      { name: "x", dtype: "float32", dims: [null, 3, 8, null], batchAxis: 0 },
      { name: "rate", dtype: "int64", dims: [], batchAxis: undefined },
    ],
  } as const;
  const rate = { name: "rate", dtype: "int64", dims: [] };

  it("accepts free sizes, and tells the batch size that a model demands", () => {
    expect(
      checkAgainstModel(dataset, [{ name: "x", dtype: "float32", dims: ["batch", 3, 8, 8] }, rate]),
    ).toBeUndefined();
    expect(checkAgainstModel(dataset, [{ name: "x", dtype: "float32", dims: undefined }, rate])).toBeUndefined();
    expect(checkAgainstModel(dataset, [{ name: "x", dtype: "float32", dims: [4, 3, "height", null] }, rate])).toBe(4);
  });

  it("names everything that does not fit", () => {
    const inputs = [
      { name: "x", dtype: "int32", dims: [1, 8, 3, 8] },
      { name: "mask", dtype: "int64", dims: [1] },
    ];
    expect(() => checkAgainstModel(dataset, inputs)).toThrow(
      /x: expected int32, received float32.*\n.*x: expected shape \[1, 8, 3, 8\], received \[\?, 3, 8, \?\].*\n.*mask: the data set has no such input\n.*rate: the model has no such input/,
    );
  });
});

describe("a data set fitted to a model", () => {
  const model = (batch: number | string) =>
    buildModel(17).input("x", [batch, 2]).node("Relu", ["x"], ["y"]).output("y").build();
  const data = (samples: number) =>
    datasetFrom({ x: float32([samples, 2], new Array(2 * samples).fill(1)) }, { splits: { calibration: [0, 4] } });
  const sizes = async (dataset: Dataset, selection: "calibration" | "all" | number[]) => {
    const found: number[] = [];
    for await (const { indices } of dataset.batches(selection, 3)) found.push(indices.length);
    return found;
  };

  it("has batches of the size that is asked for where the model leaves it open", async () => {
    expect(await sizes(fitDataset(await data(8), model("N")), "calibration")).toEqual([3, 1]);
  });

  it("has batches of the model's own size otherwise", async () => {
    expect(await sizes(fitDataset(await data(8), model(2)), "calibration")).toEqual([2, 2]);
    expect(await sizes(fitDataset(await data(5), model(1)), [2, 0])).toEqual([1, 1]);
  });

  it("refuses samples that do not fill them", async () => {
    const dataset = fitDataset(await data(7), model(2));
    expect(() => dataset.batches("all", 3)).toThrow(/^all: .*expected a multiple of 2; received 7/);
  });

  it("refuses samples of different lengths that do not fill them", async () => {
    const lines = (texts: string[]) => new TextEncoder().encode(texts.join("\n"));
    const tokens = async (texts: string[]) =>
      fitDataset(
        await datasetFromFiles(
          { inputs: { ids: { file: "ids.jsonl", padTo: "batch" } }, metric: "agreement" },
          { "ids.jsonl": lines(texts) },
        ),
        buildModel(17).input("ids", [2, "length"], "int64").node("Identity", ["ids"], ["y"]).output("y").build(),
      );
    expect(await sizes(await tokens(["[1, 2]", "[3]", "[4]", "[5, 6]"]), "all")).toEqual([2, 2]);
    await expect(sizes(await tokens(["[1, 2]", "[3]", "[4]", "[5, 6, 7]"]), "all")).rejects.toThrow(
      /^samples 0: .*expected 2 of this shape; received 1/,
    );
  });

  it("refuses inputs that the model lacks", async () => {
    const dataset = await datasetFrom({ x: float32([4, 2], new Array(8).fill(1)), more: float32([4], [1, 2, 3, 4]) });
    expect(() => fitDataset(dataset, model("N"))).toThrow(/more: the model has no such input/);
  });
});
