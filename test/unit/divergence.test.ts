import { expect, test } from "vitest";
import { Field } from "../../src/data/field.js";
import { parseMetric } from "../../src/data/metrics/index.js";
import { divergenceFor } from "../../src/evaluate/evaluator.js";
import { buildModel } from "../support/model-builder.js";

test.each<[string, (number | string)[] | undefined, string]>([
  ["top1", ["N", 10], "kl"],
  ["top1", ["N", 10, 1, 1], "kl"],
  ["top1", undefined, "kl"],
  ["psnr", ["N", 3, 8, 8], "squared-error"],
  // Softmax of a single score is 1 whatever the score.
  ["accuracy", ["N", 1], "squared-error"],
  ["accuracy", ["N"], "squared-error"],
])("the divergence for %s of an output of shape %s is %s", (name, dims, expected) => {
  const model = buildModel(17).input("x", ["N", 1]).node("Relu", ["x"], ["y"]).output("y", dims).build();
  expect(divergenceFor(parseMetric(new Field("d", "metric", name), true), model)).toBe(expected);
});
