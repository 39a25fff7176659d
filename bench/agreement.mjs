// How far the engine's simulation of a configuration is from the written file, run by onnxruntime with its optimizations on.
//   node bench/agreement.mjs [NAME...] [--samples 100] [--out bench/out/zoo] [--zoo ../shared/zoo]
// A name is that of a manifest in bench/zoo whose results bench/zoo.mjs has left in the folder `out`: without any, all of them. Samples are the
// first of the verify split. Differences are relative to the root mean square of the file's outputs. Needs dist/.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rangesOf } from "../dist/analysis.js";
import { readAnalysis } from "../dist/analysis-node.js";
import { loadBackend } from "../dist/backend/load-node.js";
import { bindingOf } from "../dist/binding.js";
import { createScorer } from "../dist/data/metrics/scorer.js";
import { openDataset } from "../dist/data/open-node.js";
import { divergenceMetric } from "../dist/evaluate/evaluator.js";
import { openSession } from "../dist/export/session-node.js";
import { readModelFile } from "../dist/onnx/model-node.js";
import { resolveOptions } from "../dist/options.js";
import { layoutOptions, openWorkspace } from "../dist/workspace.js";
import { defaultZoo, markdownTable, root, zooModel } from "./zoo-cli.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    samples: { type: "string", default: "100" },
    out: { type: "string", default: join(root, "bench", "out", "zoo") },
    zoo: { type: "string", default: defaultZoo },
  },
});
const written = readdirSync(options.out).filter((file) => file.endsWith(".plan.json"));
const names = written.map((file) => file.slice(0, -".plan.json".length));
const backend = await loadBackend();

const headings = [
  "model",
  "samples",
  "largest difference",
  "mean difference",
  "same class",
  "KL to the file",
  "KL to float",
];
const rows = [];
for (const name of positionals.length > 0 ? positionals : names) rows.push(await row(name));
console.log(markdownTable(headings, rows));

/** @param {string} name */
async function row(name) {
  const { model: path, manifest } = zooModel(options.zoo, name);
  const at = (suffix) => join(options.out, `${name}.${suffix}`);
  if (!existsSync(at("plan.json"))) throw new Error(`no plan ${at("plan.json")}: run bench/zoo.mjs`);
  const plan = JSON.parse(readFileSync(at("plan.json"), "utf8"));
  const analysis = await readAnalysis(at("analysis.json"));
  const original = await readModelFile(path);
  const dataset = await openDataset(manifest);
  const given = Object.entries(analysis.binding.options).filter(([, value]) => value !== null);
  const run = resolveOptions(Object.fromEntries(given));
  await bindingOf(original, dataset, run, analysis);
  const workspace = await openWorkspace(backend, original, dataset, run);
  const { engine, simulator, target, model, divergence } = workspace;
  const choices = new Map(
    plan.layers.map(({ node, weightFormat: weight, activationFormat: activation }) => [node, { weight, activation }]),
  );
  const layout = target.layout(model, choices, rangesOf(analysis), layoutOptions(workspace, analysis));
  const session = await openSession(at("onnx"));
  const metric = divergenceMetric(divergence, dataset.metric.output);
  const [toFile, toFloat] = [createScorer(metric), createScorer(metric)];
  const output = dataset.metric.output ?? engine.outputs[0];
  const sums = { difference: 0, square: 0, largest: 0, count: 0, same: 0, rows: 0 };
  const samples = dataset.splits.verify.slice(0, Number(options.samples));
  for await (const batch of workspace.dataset.batches(samples, run.batchSize)) {
    await simulator.apply({ weights: [], biases: [], edges: [] });
    await engine.run(batch.feeds);
    const float = await engine.readOutputs();
    await simulator.apply(layout);
    await engine.run(batch.feeds);
    const simulated = await simulator.readOutputs();
    const file = await session.run(batch.feeds);
    compare(simulated[output], file[output], sums);
    toFile.add(batch, simulated, file);
    toFloat.add(batch, simulated, float);
  }
  await session.release();
  await workspace[Symbol.asyncDispose]();
  const scale = Math.sqrt(sums.square / sums.count);
  return [
    name,
    String(samples.length),
    (sums.largest / scale).toExponential(1),
    (sums.difference / sums.count / scale).toExponential(1),
    `${((100 * sums.same) / sums.rows).toFixed(2)} %`,
    toFile.result().value.toExponential(2),
    toFloat.result().value.toExponential(2),
  ];
}

/** Adds the differences of two outputs, and the rows, along the last axis, in which the largest element is the same. */
function compare({ data: a, dims }, { data: b }, sums) {
  const width = dims.at(-1);
  for (let start = 0; start < a.length; start += width) {
    let [topA, topB] = [start, start];
    for (let i = start; i < start + width; i++) {
      const difference = Math.abs(a[i] - b[i]);
      sums.difference += difference;
      sums.square += b[i] * b[i];
      sums.largest = Math.max(sums.largest, difference);
      if (a[i] > a[topA]) topA = i;
      if (b[i] > b[topB]) topB = i;
    }
    sums.same += topA === topB ? 1 : 0;
    sums.rows++;
  }
  sums.count += a.length;
}
