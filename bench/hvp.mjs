// Times forward, gradient and Hessian probes of all layers of a model.
//   node bench/hvp.mjs --model FILE --data MANIFEST [--batch 8] [--threads 2] [--backend native|wasm] [--probes 2] [--repeats 7] [--json]
// Milliseconds, medians of interleaved repeats: forwardMs (inference), gradientMs (forward that keeps its values, loss, gradient of every weight),
// probeMs (one more Hessian-vector product along all weights and activations, in a pass of probesPerPass), gflops of the forward run's products.
// Needs dist/ (npm run build).
import { parseArgs } from "node:util";
import { loadBackend } from "../dist/backend/load-node.js";
import { layerMacs, workTensors } from "../dist/cost/macs.js";
import { openDataset } from "../dist/data/open-node.js";
import { EngineModel } from "../dist/evaluate/engine-model.js";
import { targets } from "../dist/export/targets/index.js";
import { cleanModel } from "../dist/onnx/clean/index.js";
import { readModelFile } from "../dist/onnx/model-node.js";

const { values: args } = parseArgs({
  options: {
    model: { type: "string" },
    data: { type: "string" },
    batch: { type: "string", default: "8" },
    threads: { type: "string", default: "2" },
    backend: { type: "string" },
    probes: { type: "string", default: "2" },
    repeats: { type: "string", default: "7" },
    json: { type: "boolean", default: false },
  },
});

const backend = await loadBackend(args.backend);
const { model } = cleanModel(await readModelFile(args.model));
const dataset = await openDataset(args.data);
const engine = await EngineModel.create(backend, model, { threads: Number(args.threads) });
const layers = targets["ort-cpu"].layers(model);
const probes = Number(args.probes);
const batch = Number(args.batch);
const batches = dataset.batches(dataset.splits.search.slice(0, batch), batch)[Symbol.asyncIterator]();
const { feeds } = (await batches.next()).value;

const weights = [...new Set(layers.flatMap(({ weight }) => (weight ? [engine.value(weight.initializer)] : [])))];
const edges = layers.flatMap(({ node, inputs }) => inputs.map(({ port }) => ({ node: engine.node(node), port })));
const output = engine.outputs[0];
await engine.run(feeds, { keep: true });
const target = (await engine.read(output)).data;
const tensors = [...new Set(layers.flatMap(workTensors))];
const shapes = new Map(await Promise.all(tensors.map(async (name) => [name, (await engine.read(name)).dims])));
const macs = layers.reduce((sum, layer) => sum + layerMacs(layer, shapes), 0);

const gradient = async () => {
  await engine.run(feeds, { keep: true });
  await engine.graph.loss({ kind: "kl", value: engine.value(output), target });
  await engine.graph.gradient(weights);
};
const tasks = {
  forward: () => engine.run(feeds),
  gradient,
  // Follows the gradient's run, whose values it uses.
  pass: async () => {
    await engine.graph.setSites({ weights, edges, probes, perSample: true });
    await engine.graph.hessian();
  },
};
const times = { forward: [], gradient: [], pass: [] };
for (let round = -1; round < Number(args.repeats); round++) {
  for (const [name, task] of Object.entries(tasks)) {
    const start = performance.now();
    await task();
    if (round >= 0) times[name].push(performance.now() - start);
  }
}
await engine.dispose();

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const result = {
  forwardMs: median(times.forward),
  gradientMs: median(times.gradient),
  probeMs: median(times.pass) / probes,
  probesPerPass: probes,
  gflops: (2 * macs) / median(times.forward) / 1e6,
};
if (args.json) console.log(JSON.stringify(result));
else {
  for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(14)} ${value.toFixed(2)}`);
  console.log(`${"probe/gradient".padEnd(14)} ${(result.probeMs / result.gradientMs).toFixed(2)}`);
}
