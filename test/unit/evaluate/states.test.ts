import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { datasetFrom } from "../../../src/data/from-feeds.js";
import { EngineModel } from "../../../src/evaluate/engine-model.js";
import { Evaluator } from "../../../src/evaluate/evaluator.js";
import { withFloatStates } from "../../../src/evaluate/float-states.js";
import { Simulator } from "../../../src/evaluate/simulator.js";
import { evaluate } from "../../../src/evaluate-node.js";
import { writeModelFile } from "../../../src/onnx/model-node.js";
import { quantize } from "../../../src/quantize.js";
import { backend } from "../../support/backends.js";
import { rolledNet } from "../../support/rolled-net.js";
import { float32, randomFloats } from "../../support/tensors.js";

const { inputs, width, model, run } = rolledNet;
const folder = mkdtempSync(join(tmpdir(), "bitwright-states-"));
const path = join(folder, "float.onnx");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Twenty sequences of 2 to 8 steps.
const ids = Array.from({ length: 20 }, (_, s) => new Array<number>(2 + ((5 * s) % 7)).fill(s)).flat();
const size = ids.length;
const x = randomFloats(size * inputs, 5, -2, 2);
const isFirst = (t: number) => ids[t] !== ids[t - 1];
const truth = run(x, isFirst);

/** Every step is right about its own number where the model has computed what the sums in double give. */
const dataset = () =>
  datasetFrom(
    { x: float32([size, inputs], x) },
    {
      targets: float32([size, 1], truth.y),
      metric: { name: "psnr", output: "y" },
      sequences: ids,
      states: { before: { stateOf: "after", dims: [1, "N", width] } },
      splits: { calibration: { every: 4 }, search: { every: 4, at: 1 }, verify: { every: 4, at: [2, 3] } },
    },
  );

describe("states", () => {
  it("are carried through onnxruntime and the engine as through sums in double", async () => {
    await writeModelFile(model, path);
    for (const engine of [undefined, { backend }]) {
      for (const batchSize of [1, 3, 64]) {
        const { value, samples } = await evaluate(path, {
          data: await dataset(),
          split: "all",
          batchSize,
          ...(engine && { engine }),
        });
        expect(samples).toBe(size);
        expect(value).toBeGreaterThan(120);
      }
    }
  });

  it("give the same bits of every sample, in the order of the selection, in batches of any size", async () => {
    const engine = await EngineModel.create(backend, model);
    const simulator = new Simulator(engine, model);
    const results = [];
    for (const batchSize of [1, 3, 64]) {
      const evaluator = await Evaluator.create(engine, simulator, await dataset(), "all", {
        batchSize,
        divergence: "squared-error",
      });
      // What a wrong weight does grows with the steps.
      const wrong = { node: "of state", port: 1, initializer: "u", values: randomFloats(width * width, 99) };
      const layout = { weights: [], biases: [wrong], edges: [] };
      results.push({ float: evaluator.float, wrong: await evaluator.evaluate(layout) });
    }
    await engine.dispose();
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    expect([...results[0]!.float.indices]).toEqual([...ids.keys()]);
    const { float, wrong } = results[0]!;
    for (const t of ids.keys()) {
      // At first steps the state is zero, so that its weight does not matter.
      if (isFirst(t)) expect(wrong.scores.value[t]).toBe(float.scores.value[t]);
      else expect(wrong.scores.value[t]).toBeLessThan(60);
    }
  });

  it("are the float model's own where single steps are looked at", async () => {
    const engine = await EngineModel.create(backend, model);
    const stepwise = await withFloatStates({ engine, dataset: await dataset(), samples: [4, 11, 30], batchSize: 3 });
    await engine.dispose();
    expect(stepwise.states).toEqual([]);
    for await (const { feeds, indices } of stepwise.batches([30, 4], 1)) {
      const found = [...(feeds.before!.data as Float32Array)];
      for (const [j, value] of truth.before[indices[0]!]!.entries()) expect(found[j]).toBeCloseTo(value, 5);
    }
    await expect(async () => {
      for await (const _ of stepwise.batches([size - 1], 1));
    }).rejects.toThrow(/the state before a step is not known/);
  });

  it("of the quantized model are its own in the search and in the verification", async () => {
    await writeModelFile(model, path);
    const output = join(folder, "quantized.onnx");
    const data = await dataset();
    const { plan } = await quantize(path, {
      data,
      output,
      backend,
      limits: { maxKl: 1e-3 },
      samples: 16,
      search: "bisection",
    });
    expect(plan.layers.some(({ weightFormat }) => weightFormat !== "float")).toBe(true);
    const again = await evaluate(output, { data, reference: path });
    expect(again.reference!.divergence).toBe(plan.verified!.kl);
    expect(plan.verified!.kl).toBeGreaterThan(0);
    expect(plan.verified!.kl).toBeLessThan(1e-3);
  });
});
