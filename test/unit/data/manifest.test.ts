import { describe, expect, it } from "vitest";
import { Field } from "../../../src/data/field.js";
import { parseManifest } from "../../../src/data/parse-manifest.js";

const parse = (manifest: unknown) => parseManifest(new Field("dataset.json", "", manifest));
const input = (fields: object) => parse({ inputs: { x: { file: "x.npy", ...fields } } });

describe("manifest", () => {
  it("fills in the documented defaults", () => {
    const { inputs, labels, metric } = parse({ inputs: { x: { file: "pictures/" } }, description: "test" });
    expect(inputs.get("x")).toMatchObject({
      kind: "images",
      layout: { source: "NHWC", target: "NCHW" },
      reverseChannels: false,
      scale: [1],
      mean: [0],
      std: [1],
      dtype: "float32",
      geometry: { resize: undefined, crop: undefined, filter: "bilinear", gray: false },
    });
    expect(labels).toBeUndefined();
    expect(metric.name).toBe("agreement");
    expect(parse({ inputs: { x: { file: "t.jsonl" } } }).inputs.get("x")).toMatchObject({
      kind: "tokens",
      dtype: "int64",
      sequence: { lengths: undefined, pad: undefined, padTo: "dataset" },
    });
    expect(parse({ inputs: { x: { file: "x.npz#a" } }, labels: { file: "l.npy" } }).metric.name).toBe("top1");
  });

  it.each([
    [[], /dataset\.json: .*expected an object; received \[\]/],
    [{}, /inputs: missing; expected an object/],
    [{ inputs: {} }, /inputs: .*one input or more/],
    [{ inputs: { x: {} } }, /inputs\.x\.file: missing/],
    [{ inputs: { x: { file: "" } } }, /inputs\.x\.file: .*non-empty string/],
    [{ inputs: { x: { file: [] } } }, /inputs\.x\.file: .*at least one/],
    [{ inputs: { x: { file: ["a.npy", "b.png"] } } }, /inputs\.x\.file: .*files of one kind/],
    [{ inputs: { x: { file: "a.npy" } }, label: 1 }, /label: .*one of the fields description, inputs, labels/],
    [{ inputs: { x: { maskOf: 3 } } }, /inputs\.x\.maskOf: .*string; received 3/],
    [{ inputs: { x: { value: "one" } } }, /inputs\.x\.value: .*finite number/],
    [{ inputs: { x: { value: [1, 2], dims: [3] } } }, /inputs\.x\.value: .*3 elements for dims \[3\]/],
    [{ inputs: { x: { value: 1, dims: [0] } } }, /inputs\.x\.dims\[0\]: .*integer from 1/],
    [{ inputs: { x: { file: "a.npy" } }, labels: { file: "l.npy", offset: 0.5 } }, /labels\.offset/],
    [
      { inputs: { x: { file: "a.npy" } }, metric: "top1" },
      /top1 needs labels, which the data set does not have.*agreement or kl/,
    ],
    [{ inputs: { x: { file: "a.npy" } }, metric: "psnr" }, /psnr needs targets/],
  ])("refuses %j", (manifest, message) => {
    expect(() => parse(manifest)).toThrow(message);
    expect(() => parse(manifest)).toThrow(expect.objectContaining({ code: "invalid-data" }));
  });

  it.each([
    [{ sacle: 2 }, /inputs\.x\.sacle: .*one of the fields file, dtype, layout/],
    [{ resize: 8 }, /inputs\.x\.resize: .*one of the fields/],
    [{ scale: "big" }, /inputs\.x\.scale: .*finite number; received "big"/],
    [{ mean: [1, null] }, /inputs\.x\.mean\[1\]: .*received null/],
    [{ std: [1, 0] }, /inputs\.x\.std: .*other than 0/],
    [{ dtype: "float16" }, /inputs\.x\.dtype: .*"float32"/],
    [{ dtype: "int64", scale: 2 }, /inputs\.x\.scale: .*no such field for an input of type int64/],
    [{ channels: "BGR" }, /inputs\.x\.layout: missing; expected a layout that names the channel axis/],
    [{ channels: "GRAY" }, /inputs\.x\.channels/],
    [{ pad: 1 }, /inputs\.x\.pad: .*without "lengths"/],
    [{ lengths: ["a.npy", "b.npy"] }, /inputs\.x\.lengths: .*1 files/],
    [{ lengths: "l.npy", layout: "NT" }, /inputs\.x\.layout: .*no layout for sequences/],
    [{ lengths: "l.npy", padTo: "widest" }, /inputs\.x\.padTo: .*"dataset", "batch"/],
    [{ file: "p/", layout: "NCHW>NHWC" }, /inputs\.x\.layout: .*begins with "NHWC"/],
    [{ file: "p/", crop: [1, 2, 3] }, /inputs\.x\.crop: .*\[height, width\]/],
    [{ file: "p/", resize: 1e9 }, /inputs\.x\.resize: .*\[1, 32768\]/],
    [{ file: "p/", filter: "area" }, /inputs\.x\.filter: .*"bilinear"/],
  ])("refuses an input with %j", (fields, message) => {
    expect(() => input(fields)).toThrow(message);
  });
});
