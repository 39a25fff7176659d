import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { roundWeights } from "../../../src/calibrate/round-weights.js";
import { datasetFrom } from "../../../src/data/from-feeds.js";
import { hasWeight } from "../../../src/export/layers.js";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import type { WeightFormat } from "../../../src/formats.js";
import { readModel, writeModel } from "../../../src/onnx/model.js";
import { resolveOptions } from "../../../src/options.js";
import { readWeights, type SavedWeights, saveWeight } from "../../../src/rounded-weights.js";
import type { TensorOf } from "../../../src/tensor.js";
import { layoutOptions, openWorkspace, roundedWeight, type Workspace } from "../../../src/workspace.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { float32, randomFloats, randomTensor } from "../../support/tensors.js";

const samples = 40;
const channels = 8;

/** Channels that rise and fall together, as those of real activations do. */
function correlatedInput() {
  const plane = 6 * 6;
  const shared = randomFloats(samples * plane, 1);
  const own = randomFloats(samples * channels * plane, 2);
  return float32(
    [samples, channels, 6, 6],
    own.map((value, i) => 0.3 * value + shared[Math.floor(i / (channels * plane)) * plane + (i % plane)]!),
  );
}

const x = correlatedInput();
const model = buildModel(17)
  .input("x", ["N", channels, 6, 6])
  .constant("w", randomTensor([5, channels, 3, 3], 3))
  .constant("b", randomTensor([5], 4))
  .node("Conv", ["x", "w", "b"], ["c"], { pads: [1n, 1n, 1n, 1n] }, { name: "conv" })
  .node("GlobalAveragePool", ["c"], ["p"])
  .node("Flatten", ["p"], ["f"])
  .constant("v", randomTensor([5, 3], 5))
  .node("MatMul", ["f", "v"], ["y"], {}, { name: "head" })
  .output("y")
  .build();

let workspace: Workspace;
const options = (own = workspace) => ({
  ...own,
  samples: own.dataset.splits.calibration,
  batchSize: 7,
  seed: 0,
  reduceRange: false,
});

beforeAll(async () => {
  const dataset = await datasetFrom({ x }, { splits: { calibration: [0, 30], search: [30, 40] } });
  workspace = await openWorkspace(backend, readModel(writeModel(model)), dataset, resolveOptions({}));
});
afterAll(() => workspace[Symbol.asyncDispose]());

/** Variance over the search samples of what rounding the convolution's weight adds to each output. */
async function addedVariance(values: Float32Array): Promise<number> {
  const { engine, dataset } = workspace;
  const outputs: Float32Array[] = [];
  for (const data of [undefined, values]) {
    await engine.graph.setConstant(engine.value("w"), data);
    for await (const { feeds } of dataset.batches("search", 10)) await engine.run(feeds, { values: ["c"] });
    outputs.push(((await engine.read("c")) as TensorOf<"float32">).data);
  }
  await engine.graph.setConstant(engine.value("w"), undefined);
  const added = outputs[0]!.map((value, i) => outputs[1]![i]! - value);
  const plane = 6 * 6;
  return Array.from({ length: 5 }, (_, channel) => {
    const own = added.filter((_, i) => Math.floor(i / plane) % 5 === channel);
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
    return own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length;
  }).reduce((sum, value) => sum + value, 0);
}

/** The convolution's weight in a format. */
function rounded(roundedWeights: SavedWeights, format: WeightFormat, reducesRange = false): Promise<Float32Array> {
  const [layer] = workspace.layers.filter(hasWeight);
  return roundedWeight(workspace, { roundedWeights, reducesRange }, layer!, format);
}

describe("weights rounded with error feedback", () => {
  it.each(["int8", "int4"] as const)("change outputs on other samples less than nearest ones, %s", async (format) => {
    const saved = await roundWeights(options());
    const fed = await addedVariance(await rounded(saved, format));
    expect(fed).toBeGreaterThan(0);
    expect(fed).toBeLessThan(0.5 * (await addedVariance(await rounded({}, format))));
  });

  it("keep to 7 bits of int8 where the range is reduced, and change outputs less than nearest ones there too", async () => {
    const saved = await roundWeights({ ...options(), reduceRange: true });
    const full = await roundWeights(options());
    expect(saved.w!.int4).toEqual(full.w!.int4);
    const codes = new Int8Array(Buffer.from(saved.w!.int8!.codes, "base64"));
    expect(codes.reduce((most, code) => Math.max(most, Math.abs(code)), 0)).toBe(64);
    const fed = await addedVariance(await rounded(saved, "int8", true));
    expect(fed).toBeGreaterThan(await addedVariance(await rounded(full, "int8")));
    expect(fed).toBeLessThan(0.5 * (await addedVariance(await rounded({}, "int8", true))));
  });

  it("are read a few times, not once for each element: each time may mean a file, or a matrix that is turned again", async () => {
    let reads = 0;
    const weight = (initializer: string) => {
      const { dtype, dims, data } = workspace.weight(initializer);
      return {
        dtype,
        dims,
        get data() {
          reads++;
          return data;
        },
      };
    };
    await roundWeights({ ...options(), weight });
    expect(reads).toBeLessThan(10);
  });

  it("are missing their scales where a workspace was opened with them and rounds anew", async () => {
    const roundedWeights = await roundWeights(options());
    const known = { roundedWeights, reducesRange: false };
    await using own = await openWorkspace(
      backend,
      readModel(writeModel(model)),
      workspace.dataset,
      workspace.options,
      known,
    );
    await expect(roundWeights(options(own))).rejects.toMatchObject({
      code: "invalid-option",
      where: 'initializer "w"',
    });
  });

  it("do not depend on the batch size", async () => {
    expect(await roundWeights({ ...options(), batchSize: 3 })).toEqual(await roundWeights(options()));
  });

  it("are what the simulation and the written file compute with", async () => {
    const { engine, simulator, target, layers, dataset } = workspace;
    const analysis = { roundedWeights: await roundWeights(options()), biasShifts: {}, reducesRange: false };
    const choices = new Map(layers.map(({ node }) => [node, { weight: "int4", activation: "float" }] as const));
    const layout = target.layout(workspace.model, choices, new Map(), layoutOptions(workspace, analysis));
    const expected = await rounded(analysis.roundedWeights, "int4");
    expect(layout.weights[0]!.values).toBe(expected);

    const session = await openSession(writeModel(exportModel(workspace.model, layout)));
    await simulator.apply(layout);
    for await (const { feeds } of dataset.batches("search", 10)) {
      const { y } = await session.run(feeds);
      await engine.run(feeds);
      const simulated = (await engine.read("y")).data as Float32Array;
      for (const [i, value] of (y!.data as Float32Array).entries()) expect(simulated[i]).toBeCloseTo(value, 5);
    }
    await simulator.apply({ weights: [], biases: [], edges: [] });
    await session.release();
  });
});

describe("blocks rounded with error feedback", () => {
  const width = 64;
  const rows = randomFloats(samples * 3, 11);
  const input = float32(
    [samples, width],
    randomFloats(samples * width, 12).map((value, i) => 0.2 * value + rows[3 * Math.floor(i / width) + (i % 3)]!),
  );
  const product = buildModel(17)
    .input("x", ["N", width])
    .constant("w", randomTensor([width, 7], 13))
    .node("MatMul", ["x", "w"], ["y"], {}, { name: "product" })
    .output("y")
    .build();

  it("change outputs less than nearest ones, and are what simulation and file compute with", async () => {
    const dataset = await datasetFrom({ x: input }, { splits: { calibration: [0, 30], search: [30, 40] } });
    const formats = resolveOptions({ formats: ["int4b32"] });
    await using own = await openWorkspace(backend, product, dataset, formats);
    const saved = await roundWeights(options(own));
    const choices = new Map([["product", { weight: "int4b32", activation: "float" } as const]]);
    const outputs = async (roundedWeights: typeof saved) => {
      const layout = own.target.layout(
        product,
        choices,
        new Map(),
        layoutOptions(own, { roundedWeights, biasShifts: {}, reducesRange: false }),
      );
      await own.simulator.apply(layout);
      const session = await openSession(writeModel(exportModel(product, layout)));
      for await (const { feeds } of dataset.batches("search", 10)) {
        await own.engine.run(feeds);
        const simulated = ((await own.engine.read("y")) as TensorOf<"float32">).data;
        const { y } = await session.run(feeds);
        for (const [i, value] of (y!.data as Float32Array).entries()) expect(simulated[i]).toBeCloseTo(value, 4);
        await session.release();
        return simulated;
      }
      throw new Error("there are no samples");
    };
    const nearest = await outputs({});
    const fed = await outputs(saved);
    await own.simulator.apply({ weights: [], biases: [], edges: [] });
    for await (const { feeds } of dataset.batches("search", 10)) await own.engine.run(feeds);
    const exact = ((await own.engine.read("y")) as TensorOf<"float32">).data;
    const error = (values: Float32Array) => values.reduce((sum, value, i) => sum + (value - exact[i]!) ** 2, 0);
    expect(error(fed)).toBeLessThan(0.5 * error(nearest));
  });

  it("are refused where zero points are missing", async () => {
    const dataset = await datasetFrom({ x: input }, { splits: { calibration: [0, 30], search: [30, 40] } });
    await using own = await openWorkspace(backend, product, dataset, resolveOptions({ formats: ["int4b32"] }));
    const saved = await roundWeights(options(own));
    const { zeroPoints: _, ...rest } = saved.w!.int4b32!;
    expect(() => readWeights({ w: { int4b32: rest } })(own.layers[0] as WeightedLayer, "int4b32")).toThrow(
      /w, int4b32/,
    );
  });
});

describe("saved weights", () => {
  const layer = () => workspace.layers[1] as WeightedLayer;
  const scales = Float32Array.of(0.5, 0.25, 0.013);
  const codes = Int8Array.from({ length: 15 }, (_, i) => i - 7);

  it.each([
    ["int8", 8],
    ["int4", 4],
  ] as const)("come back as they were, %s", (format, bits) => {
    const saved = { v: { [format]: saveWeight(scales, codes, bits) } };
    const found = readWeights(saved)(layer(), format)!;
    expect(found.scales).toEqual(scales);
    expect(found.values).toEqual(Float32Array.from(codes, (code, i) => code * scales[i % 3]!));
    expect(readWeights(saved)(layer(), format)).toBe(found);
  });

  it.each([
    ["too few scales", saveWeight(scales.subarray(1), codes, 8)],
    ["too few codes", saveWeight(scales, codes.subarray(1), 8)],
    ["text that is not base64", { ...saveWeight(scales, codes, 8), codes: "?" }],
  ])("are refused with %s", (_name, weight) => {
    expect(() => readWeights({ v: { int8: weight } })(layer(), "int8")?.values).toThrow(/roundedWeights, v, int8/);
  });
});

it("is refused at once for more weights than an analysis can hold", async () => {
  const huge = workspace.layers.map((layer) =>
    layer.node === "head" ? { ...layer, weight: { ...layer.weight, dims: [20000, 15000] } } : layer,
  );
  await expect(roundWeights({ ...options(), layers: huge })).rejects.toMatchObject({
    code: "invalid-option",
    where: "rounding",
  });
});
