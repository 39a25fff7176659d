import { describe, expect, test } from "vitest";
import { analyze } from "../../src/analyze.js";
import { bindingOf } from "../../src/binding.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { resolveOptions } from "../../src/options.js";
import { openWorkspace } from "../../src/workspace.js";
import { backend } from "../support/backends.js";
import { buildModel, type ModelBuilder } from "../support/model-builder.js";
import { float32 } from "../support/tensors.js";

const splits = { calibration: [0, 4], search: [4, 8] };
const weight = (...values: number[]) => float32([2, 2], values);
const product = (w = weight(1, 2, 3, 4)) =>
  buildModel(17).input("x", ["N", 2]).constant("w", w).node("MatMul", ["x", "w"], ["z"], {}, { name: "product" });

/** Well-formed models that no quantization can come out of, with what is said of them. */
const models: readonly [string, () => ModelBuilder, RegExp][] = [
  [
    "a weight that is not a number",
    () => product(weight(1, 2, Number.NaN, 4)).output("z"),
    /^initializer "w": .*received NaN at element 2/,
  ],
  [
    "products that overflow",
    () =>
      product(weight(3e38, -3e38, 3e38, 3e38))
        .node("Relu", ["z"], ["y"])
        .output("y"),
    /^y: an activation has values that are no finite numbers/,
  ],
  [
    "an activation without elements",
    () =>
      product()
        .constant("none", float32([2, 0], []))
        .constant("back", float32([0, 2], []))
        .node("MatMul", ["z", "none"], ["empty"])
        .node("MatMul", ["empty", "back"], ["y"])
        .output("y"),
    /: an activation has no values/,
  ],
  [
    "outputs that are not numbers",
    () =>
      product(weight(-1, -1, -1, -1))
        .node("Log", ["z"], ["y"])
        .output("y"),
    /^sample 4: the float model's outputs are no finite numbers/,
  ],
  [
    "no stored weight",
    () => buildModel(17).input("x", ["N", 2]).node("Relu", ["x"], ["y"]).output("y"),
    /nothing to quantize\. .*convert such a model to float32/,
  ],
];

test("formats that no layer can take are refused", async () => {
  const dataset = await datasetFrom({ x: float32([8, 2], new Array(16).fill(2)) }, { splits });
  const options = resolveOptions({ formats: ["float"] });
  await expect(openWorkspace(backend, product().output("z").build(), dataset, options)).rejects.toThrow(
    /^formats: no layer .*expected one or more of .*int8.*; received float/,
  );
});

describe("a model is refused that has", () => {
  test.each(models)("%s", async (_, build, message) => {
    const model = build().build();
    const dataset = await datasetFrom({ x: float32([8, 2], new Array(16).fill(2)) }, { splits });
    const options = resolveOptions({ samples: 2, calibration: "minmax" });
    const run = async () => {
      await using workspace = await openWorkspace(backend, model, dataset, options);
      await analyze(workspace, { criteria: ["direct"], binding: await bindingOf(model, dataset, options) });
    };
    await expect(run()).rejects.toThrow(message);
  });
});
