// What users do with a model and a data set, from end to end.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { readAnalysis } from "../../dist/analysis-node.js";
import { formats } from "../../dist/formats.js";
import {
  cleanModel,
  datasetFrom,
  EngineModel,
  inspect,
  openDataset,
  quantize,
  readModelFile,
  searches,
} from "../../dist/index.js";
import { methods } from "../../dist/methods.js";
import { objectives } from "../../dist/options.js";
import { analysisOptions } from "./base-analysis.mjs";
import { randomFeeds } from "./feeds.mjs";

/** @typedef {import("../../dist/index.js").Backend} Backend */
/** @typedef {import("../../dist/index.js").OnnxModel} OnnxModel */
/** @typedef {import("./cases.mjs").Case} Case */
/** @typedef {import("./choices.mjs").Choices} Choices */

/** The file that a case may leave. */
export const outputName = "model.q.onnx";

/**
 * Runs every stage, those too that follow a failed one where they can.
 * @param {Backend} backend
 * @param {Case} testCase
 * @param {string} folder holds the case's files
 * @returns {Promise<{ errors: unknown[], quantized: boolean }>} what the stages threw, and whether the last one, which writes, did not
 */
export async function runCase(backend, { kind, random, damaged }, folder) {
  const path = join(folder, "model.onnx");
  const manifest = join(folder, "dataset.json");
  const output = join(folder, outputName);
  const quantizeWith = async (data, options) => quantizeCase(backend, path, { data, output, ...options }, random);
  const stages = {
    model: [
      async () => inspect(backend, await readModelFile(path), { target: "ort-cpu", bytes: statSync(path).size }),
      async () => differentiate(backend, cleanModel(await readModelFile(path)).model, random, damaged),
      async () =>
        quantizeWith(await anyDataset(await readModelFile(path), random, damaged), anyOptions(random, damaged)),
    ],
    "data set": [
      async () => readEverything(await openDataset(manifest)),
      async () => quantizeWith(await openDataset(manifest), anyOptions(random, damaged)),
    ],
    analysis: [
      async () => {
        const analysis = await readAnalysis(join(folder, "analysis.json"));
        await quantizeWith(await openDataset(manifest), { analysis, ...analysisOptions });
      },
    ],
  }[kind];
  const errors = [];
  let quantized = false;
  for (const stage of stages) {
    try {
      await stage();
      quantized = stage === stages.at(-1);
    } catch (error) {
      errors.push(error);
    }
  }
  return { errors, quantized };
}

/**
 * Forward, gradient and Hessian probes.
 * @type {(backend: Backend, model: OnnxModel, random: Choices, hostile: boolean) => Promise<void>}
 */
async function differentiate(backend, model, random, hostile) {
  const options = { threads: 2, precision: random.chance(0.1) ? "float64" : "float32" };
  const engine = await EngineModel.create(backend, model, options);
  try {
    const feeds = randomFeeds(model, random, 2, hostile);
    await engine.run(feeds);
    await engine.readOutputs();
    await engine.run(feeds, { keep: true });
    const float = (await engine.readOutputs())[engine.outputs[0]];
    if (float?.dtype !== "float32") return;
    await engine.graph.loss(lossOn(engine.value(engine.outputs[0]), float, random));
    const infos = await engine.graph.describe();
    const layers = model.graph.node
      .map((node) => ({ node, ...infos[engine.node(node.name)] }))
      .filter(({ weightPort }) => weightPort !== null && weightPort !== undefined);
    const stored = new Set(model.graph.initializer.filter(({ dataType }) => dataType === 1).map(({ name }) => name));
    const names = new Set(
      layers.map(({ node, weightPort }) => node.input[weightPort]).filter((name) => stored.has(name)),
    );
    const weights = [...names].map((name) => engine.value(name));
    const edges = layers.slice(0, 3).map(({ node }) => ({ node: engine.node(node.name), port: 0 }));
    await engine.graph.gradient([...weights, ...layers.slice(0, 1).map(({ node }) => engine.value(node.output[0]))]);
    for (const weight of weights) await engine.graph.readWeightGradient(weight);
    if (weights.length + edges.length === 0) return;
    await engine.graph.setSites({ weights, edges, probes: 1 + random.below(3), perSample: random.chance(0.5) });
    await engine.graph.hessian({ products: random.chance(0.5) });
  } finally {
    await engine.dispose();
  }
}

function lossOn(value, { dims, data }, random) {
  switch (random.below(4)) {
    case 0:
      return { kind: "squared-error", value, target: new Float32Array(data.length) };
    case 1:
      return { kind: "kl", value, target: new Float32Array(data.length) };
    case 2:
      return { kind: "cross-entropy", value, target: new Int32Array(data.length / classesOf(dims)) };
    default:
      return { kind: "sum", value };
  }
}

/** Length of the last axis, those of one element behind the second left out. */
function classesOf(dims) {
  return dims.findLast((dim, axis) => axis < 2 || dim !== 1) ?? 1;
}

/** Data that fits what the model says of its inputs. */
function anyDataset(model, random, hostile) {
  const splits = { calibration: [0, 4], search: [4, 8], verify: [8, 12] };
  return datasetFrom(randomFeeds(model, random, 12, hostile), { splits });
}

/** @type {import("../../dist/index.js").Limits[]} */
const limits = [
  { keep: 0.5 },
  { keep: 1 },
  { maxKl: 0.1 },
  { maxSize: { share: 0.5 } },
  { maxSize: { absolute: 1 }, keep: 0.9 },
  { maxMacs: { share: 0.5 }, maxKl: 1 },
];

/** @type {(random: Choices, hostile: boolean) => import("../../dist/index.js").RunOptions} */
function anyOptions(random, hostile) {
  return {
    calibration: random.pick(["minmax", "minmax", "percentile", "mse"]),
    formats:
      random.chance(0.5) || !hostile
        ? ["int8", "int4"]
        : [random.pick(Object.keys(formats)), random.pick(Object.keys(formats))],
    samples: 2,
    probes: 1,
    batchSize: 2,
    threads: 1,
  };
}

/** @type {(backend: Backend, model: string, options: object, random: Choices) => Promise<void>} */
async function quantizeCase(backend, model, options, random) {
  const { output } = options;
  await quantize(model, {
    ...options,
    backend,
    limits: random.pick(limits),
    // Whatever has to do with time is measured, which takes long.
    minimize: random.chance(0.8) ? "size" : random.pick(objectives),
    method: random.pick(Object.keys(methods)),
    search: random.pick(Object.keys(searches)),
  });
  if (!existsSync(output)) throw new Error("quantize returned without having written the model");
  await readModelFile(output);
}

/** @type {(dataset: import("../../dist/index.js").Dataset) => Promise<void>} */
async function readEverything(dataset) {
  for await (const _ of dataset.batches("all", 3));
  await dataset.hash();
}
