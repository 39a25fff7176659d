import { expect, it } from "vitest";
import { EngineModel } from "../../../src/evaluate/engine-model.js";
import { inferenceBytes } from "../../../src/evaluate/inference-bytes.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";
import { mixedNetwork } from "../export/networks.js";

const wide = buildModel(17)
  .input("x", ["N", 64])
  .constant("a", randomTensor([64, 512], 1))
  .constant("b", randomTensor([512, 8], 2))
  .node("MatMul", ["x", "a"], ["h"])
  .node("Tanh", ["h"], ["t"])
  .node("MatMul", ["t", "b"], ["y"])
  .output("y", ["N", 8])
  .build();

it.each([
  ["a convolutional network", mixedNetwork(), [4, 3, 16, 16]],
  ["wide layers", wide, [300, 64]],
] as const)("estimates what the engine holds while it runs %s", async (_, model, dims) => {
  const feeds = { x: randomTensor(dims, 1) };
  const engine = await EngineModel.create(backend, model);
  try {
    await engine.run(feeds);
    const { peak } = await engine.graph.memory();
    const estimate = inferenceBytes(model, feeds);
    expect(estimate).toBeGreaterThanOrEqual(peak);
    expect(estimate).toBeLessThan(3 * peak);
    const within = { memory: estimate };
    await (await EngineModel.create(backend, model, within)).run(feeds);
  } finally {
    await engine.dispose();
  }
});

it("is what a refusal names where a budget is too small to run in", async () => {
  const feeds = { x: randomTensor([300, 64], 1) };
  const engine = await EngineModel.create(backend, wide, { memory: 400_000 });
  const estimate = inferenceBytes(wide, feeds);
  await expect(engine.run(feeds)).rejects.toMatchObject({
    code: "out-of-memory",
    expected: `about ${Math.ceil(estimate / 1e4) / 100}MB`,
  });
  await engine.dispose();
});
