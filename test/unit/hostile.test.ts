import { describe, expect, test } from "vitest";
import { parseJson } from "../../src/data/json.js";
import { loadOnnxRuntime } from "../../src/export/onnxruntime-node.js";

describe("JSON documents", () => {
  test("may begin with a byte order mark", () => {
    expect(parseJson('\ufeff{"a": 1}', "dataset.json").value).toEqual({ a: 1 });
  });

  test.for([100, 100_000])("nested %i times are refused before anything walks them", (depth) => {
    const document = `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(() => parseJson(document, "dataset.json")).toThrow(
      expect.objectContaining({ code: "invalid-data", where: "dataset.json" }),
    );
  });
});

describe("onnxruntime", () => {
  test("is told not to report to its makers", async () => {
    await loadOnnxRuntime();
    expect(process.env.ORT_DISABLE_TELEMETRY).toBe("1");
  });
});
