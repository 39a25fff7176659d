import { expect, it } from "vitest";
import { analyze } from "../../src/analyze.js";
import { bindingOf } from "../../src/binding.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { resolveOptions } from "../../src/options.js";
import { openWorkspace } from "../../src/workspace.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { randomTensor } from "../support/tensors.js";

const model = buildModel(17)
  .input("x", ["N", 8])
  .constant("w", randomTensor([8, 5], 1))
  .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
  .output("y")
  .build();

it.each([
  { reduceRange: "auto", saturates: true, largest: 64 },
  { reduceRange: "auto", saturates: false, largest: 127 },
  { reduceRange: "auto", saturates: undefined, largest: 127 },
  { reduceRange: "always", saturates: false, largest: 64 },
  { reduceRange: "never", saturates: true, largest: 127 },
] as const)(
  "int8 weights have codes up to $largest with $reduceRange where kernels saturate: $saturates",
  async (run) => {
    const { reduceRange, saturates, largest } = run;
    const splits = { calibration: [0, 20], search: [20, 30] } as const;
    const dataset = await datasetFrom({ x: randomTensor([30, 8], 2) }, { splits });
    const options = resolveOptions({ reduceRange });
    await using workspace = await openWorkspace(backend, model, dataset, options);
    const { reducesRange, roundedWeights } = await analyze(workspace, {
      criteria: ["quantization-error"],
      binding: await bindingOf(model, dataset, options),
      ...(saturates !== undefined && { findSaturation: async () => saturates }),
    });
    expect(reducesRange).toBe(largest === 64);
    const codes = new Int8Array(Buffer.from(roundedWeights.w!.int8!.codes, "base64"));
    expect(codes.reduce((most, code) => Math.max(most, Math.abs(code)), 0)).toBe(largest);
  },
);
