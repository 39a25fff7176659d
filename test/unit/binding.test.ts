import { describe, expect, it } from "vitest";
import { bindingOf } from "../../src/binding.js";
import { type DatasetFromOptions, datasetFrom } from "../../src/data/from-feeds.js";
import type { Metric } from "../../src/data/metrics/metric.js";
import { snr } from "../../src/data/metrics/snr.js";
import { resolveOptions } from "../../src/options.js";
import { buildModel } from "../support/model-builder.js";
import { sampleAnalysis } from "../support/plans.js";
import { randomTensor } from "../support/tensors.js";

const model = buildModel(17)
  .input("x", ["N", 16])
  .constant("w", randomTensor([16, 8], 2))
  .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
  .node("Relu", ["y"], ["z"])
  .output("y", ["N", 8])
  .output("z", ["N", 8])
  .build();

async function bind(metric: DatasetFromOptions["metric"], known?: Parameters<typeof bindingOf>[3]) {
  const dataset = await datasetFrom({ x: randomTensor([24, 16], 1) }, metric === undefined ? {} : { metric });
  return bindingOf(model, dataset, resolveOptions({}), known);
}

/** The largest element of each row, of an output. */
const largest = (changes: Partial<Metric> = {}): Metric => ({
  name: "largest",
  higherIsBetter: true,
  needs: "nothing",
  accumulate: ({ samples }) => ({ value: new Float64Array(samples) }),
  finish: () => 0,
  ...changes,
});

describe("an analysis is bound to what its numbers take from the metric:", () => {
  it("the output that losses are put on, and the divergence", async () => {
    expect((await bind(undefined)).judged).toEqual({ output: "y", divergence: "kl" });
    expect((await bind(largest({ output: "z" }))).judged).toEqual({ output: "z", divergence: "kl" });
    expect((await bind(snr({ against: "float" }))).judged).toEqual({ output: "y", divergence: "squared-error" });
  });

  it("which another metric may change, and then the analysis is stale,", async () => {
    const known = { ...sampleAnalysis(1), binding: await bind(largest()) };
    await expect(bind(largest({ output: "z" }), known)).rejects.toMatchObject({
      code: "stale-analysis",
      message: expect.stringContaining("another output that is judged"),
      expected: '"y"',
      received: '"z"',
    });
    await expect(bind(snr({ against: "float" }), known)).rejects.toMatchObject({
      code: "stale-analysis",
      expected: '"kl"',
      received: '"squared-error"',
    });
  });

  it("or leave as it is, and then it serves", async () => {
    const known = { ...sampleAnalysis(1), binding: await bind(largest()) };
    await expect(bind(undefined, known)).resolves.toEqual(known.binding);
    await expect(bind(({ samples }) => new Float64Array(samples), known)).resolves.toEqual(known.binding);
    await expect(bind(largest({ output: "y" }), known)).resolves.toEqual(known.binding);
  });
});
