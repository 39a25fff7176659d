import { expect, it } from "vitest";
import { sources } from "../../../src/sensitivity/interactions/index.js";
import { buildModel } from "../../support/model-builder.js";
import { sensitivityContext, symmetric } from "../../support/sensitivity.js";
import { randomTensor } from "../../support/tensors.js";

const nodes = 5;
const model = buildModel(17)
  .input("x", ["N", 4])
  .constant("w", randomTensor([4, 3], 1))
  .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
  .output("y")
  .build();
const feeds = { x: randomTensor([nodes, 4], 2) };

it.each(["fisher", "gauss-newton", "hessian"] as const)(
  "%s takes every sample of a data set that is one whole, however many were chosen",
  async (source) => {
    const context = await sensitivityContext(
      model,
      feeds,
      [{ node: "product", kind: "weight", quantizers: { int8: symmetric(8, [0.01]), int4: symmetric(4, [0.2]) } }],
      { loss: "mse", probes: 3 },
    );
    try {
      const whole = { ...context.dataset, transductive: true };
      const batches: typeof whole.batches = (_selection, _size, options) => whole.batches("all", nodes, options);
      const dataset = { ...whole, batches };
      const resume = { known: [], onRows: async () => {} };
      const found = [];
      for (const samples of [Uint32Array.of(1), Uint32Array.of(0, 1, 2, 3, 4)]) {
        const { matrix } = await sources[source]({ ...context, dataset, samples }, resume);
        found.push(matrix);
      }
      expect(found[0]).toEqual(found[1]);
      expect(found[0]![1]![1]).toBeGreaterThan(0);
    } finally {
      await context.engine.dispose();
    }
  },
);
