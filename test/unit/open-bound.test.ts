import { expect, it } from "vitest";
import { bindingOf } from "../../src/binding.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { openBound } from "../../src/open-bound.js";
import { resolveOptions } from "../../src/options.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { sampleAnalysis } from "../support/plans.js";
import { randomTensor } from "../support/tensors.js";

const product = (opType: string) =>
  buildModel(17)
    .input("x", ["N", 8])
    .constant("w", randomTensor([8, 5], 1))
    .node(opType, ["x", "w"], ["y"], {}, { name: "product" })
    .output("y")
    .build();

it("says what an analysis is stale by, whether a workspace can be opened or not", async () => {
  const splits = { calibration: [0, 20], search: [20, 30] } as const;
  const dataset = await datasetFrom({ x: randomTensor([30, 8], 2) }, { splits });
  const options = resolveOptions({});
  const model = product("MatMul");
  const known = { ...sampleAnalysis(1), binding: await bindingOf(model, dataset, options) };
  for (const other of [model, product("Unknown")]) {
    const open = openBound(backend, other, dataset, resolveOptions({ seed: 2 }), known);
    await expect(open).rejects.toMatchObject({ code: "stale-analysis" });
  }
  await expect(openBound(backend, product("Unknown"), dataset, options)).rejects.toMatchObject({
    code: "invalid-model",
    message: expect.stringContaining("no node multiplies by a s"),
  });
  const { binding, workspace } = await openBound(backend, model, dataset, options, known);
  await workspace[Symbol.asyncDispose]();
  expect(binding).toEqual(known.binding);
});
