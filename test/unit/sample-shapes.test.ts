import { describe, expect, it } from "vitest";
import { datasetFromFiles } from "../../src/data/from-files.js";
import type { DatasetManifest } from "../../src/data/manifest.js";
import type { EngineModel } from "../../src/evaluate/engine-model.js";
import { sampleShapes } from "../../src/sample-shapes.js";
import { buildModel } from "../support/model-builder.js";
import { npyBytes } from "./data/npy-bytes.js";

// What has to run the model fails.
const engine = undefined as unknown as EngineModel;

async function shapes(manifest: DatasetManifest, dims: readonly (number | string)[], files = {}) {
  let decoded = 0;
  const decodeImage = async () => {
    decoded++;
    return { height: 4, width: 6, data: new Uint8Array(4 * 6 * 3) };
  };
  const dataset = await datasetFromFiles(manifest, files, { decodeImage });
  const model = buildModel(17).input("x", dims).node("Relu", ["x"], ["y"]).output("y").build();
  const found = await sampleShapes({ dataset, engine, model }, ["x", "y"], {});
  return { decoded, y: found.get("y") };
}

const pictures = (more: object) => ({
  inputs: { x: { file: "list.txt", ...more } },
  splits: { calibration: [0, 1], search: [1, 2], verify: [2, 3] },
});
const files = Object.fromEntries(["a.png", "b.png", "c.png"].map((name) => [name, Uint8Array.of(1)]));
const list = { ...files, "list.txt": new TextEncoder().encode(Object.keys(files).join("\n")) };

describe("shapes of the first sample", () => {
  it("need no picture where the data set, or the model, has one size", async () => {
    const expected = { decoded: 0, y: [1, 3, 4, 6] };
    expect(await shapes(pictures({ crop: [4, 6] }), ["N", 3, "H", "W"], list)).toEqual(expected);
    expect(await shapes(pictures({}), ["N", 3, 4, 6], list)).toEqual(expected);
  });

  it("are those of the picture where sizes differ", async () => {
    expect(await shapes(pictures({}), ["N", 3, "H", "W"], list)).toEqual({ decoded: 1, y: [1, 3, 4, 6] });
  });

  it("have all rows where the samples belong to one whole", async () => {
    const manifest: DatasetManifest = {
      inputs: { x: { file: "x.npy" } },
      labels: { file: "labels.txt" },
      transductive: true,
      splits: { calibration: [0, 1], search: [1, 2], verify: [2, 3] },
    };
    const graph = {
      "x.npy": npyBytes("<f4", [3, 2], new Float32Array(6)),
      "labels.txt": new TextEncoder().encode("0\n1\n0\n"),
    };
    expect(await shapes(manifest, ["N", 2], graph)).toEqual({ decoded: 0, y: [3, 2] });
  });
});
