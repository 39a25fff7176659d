// Holds the additive latency model against measured times of whole configurations and prints a table in Markdown.
//   node bench/latency.mjs [NAME...] [--random 12] [--threads N] [--seed 1] [--zoo ../shared/zoo] [--dist dist] [--verbose]
// A name is that of a manifest in bench/zoo, or `shapes`, the example's network. Whole configurations are all layers on integer kernels, and random ones. Each is timed in turn with the float
// model, and predictions are of its time as a share of the float model's: the error is |predicted / measured - 1|. Beside the model: the gains of
// single layers, each timed alone, added up; and multiply-accumulates, of which an int8 one takes a quarter of the time.
// Needs dist/ and onnxruntime-node.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defaultZoo, root, zooModel } from "./zoo-cli.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    random: { type: "string", default: "12" },
    threads: { type: "string" },
    seed: { type: "string", default: "1" },
    zoo: { type: "string", default: defaultZoo },
    dist: { type: "string", default: join(root, "dist") },
    verbose: { type: "boolean", default: false },
  },
});
const from = (path) => import(join(options.dist, path));
const { loadBackend } = await from("backend/load-node.js");
const { Chain } = await from("cost/chain.js");
const { measureLatencyModel } = await from("cost/latency-model-node.js");
const { predictLatency } = await from("cost/latency-model.js");
const { layerMacs } = await from("cost/macs.js");
const { steadyTimes } = await from("cost/steady-times-node.js");
const { openDataset } = await from("data/open-node.js");
const { EngineModel } = await from("evaluate/engine-model.js");
const { ortCpu } = await from("export/targets/ort-cpu.js");
const { cleanModel } = await from("onnx/clean/index.js");
const { readModelFile } = await from("onnx/model-node.js");
const { quantile } = await from("quantile.js");
const { uniformNumbers } = await from("random.js");

const session = options.threads === undefined ? {} : { threads: Number(options.threads) };
const names = positionals.length > 0 ? positionals : ["mobilenetv2_1.0_224", "resnet56_cifar10", "squeezenet1.1_224"];
const predictors = ["model", "single layers", "MACs"];
const headings = [
  "model",
  "layers",
  "parts",
  "float ms",
  "int8",
  ...predictors.flatMap((name) => [`${name}: median`, "worst"]),
];
print([...headings, "seconds"]);
print(headings.concat("").map(() => "---"));
const backend = await loadBackend();
for (const name of names) print(await row(name));

/** @param {string} name */
async function row(name) {
  const files = zooModel(options.zoo, name);
  const { model } = cleanModel(await readModelFile(files.model));
  const dataset = await openDataset(files.manifest);
  // Kernels are what takes time, and these two formats lead to all of a convolution's.
  const layers = ortCpu.layers(model).map((layer) => ({ ...layer, choices: layer.choices.filter(isFloatOrInt8) }));
  const engine = await EngineModel.create(backend, model);
  const values = await everyValue(engine, model, dataset);
  await engine.dispose();
  const ranges = new Map(ortCpu.observedTensors(model).map((tensor) => [tensor, rangeOf(values.get(tensor).data)]));
  const subject = { model, target: ortCpu, layers, ranges };

  const start = performance.now();
  const latency = await measureLatencyModel(subject, async () => values, session);
  const seconds = (performance.now() - start) / 1000;

  const chain = new Chain(subject);
  const predict = {
    model: (choices) => predictLatency(latency, choices) / latency.floatMs,
    "single layers": await bySingleLayers(chain, values, latency.floatMs),
    MACs: byMacs(layers, values),
  };
  const whole = chain.excerpt(model.graph.node, values);
  const feeds = whole.feeds;
  const float = whole.export(new Map());
  const measured = [];
  const configurations = [choose(layers, () => true), ...randomConfigurations(layers)];
  for (const choices of configurations) {
    const models = [float, whole.export(choices)].map((bytes) => ({ model: bytes, feeds }));
    const [reference, own] = await steadyTimes(models, { ...session, precisionMs: 0, relativePrecision: 0.003 });
    measured.push(own.ms / reference.ms);
  }
  const errors = predictors.map((name) => configurations.map((choices, i) => predict[name](choices) / measured[i] - 1));
  if (options.verbose) {
    const rows = measured.map((ratio, i) =>
      [`${ratio.toFixed(3)}`, ...errors.map((own) => percent(own[i]))].join("  "),
    );
    console.error(
      [`parts add up to ${latency.accountedMs.toFixed(3)} of ${latency.floatMs.toFixed(3)} ms`, ...rows].join("\n"),
    );
  }
  const summary = errors.flatMap((own) => {
    const sizes = own.map(Math.abs);
    return [quantile(sizes, 0.5), Math.max(...sizes)].map(percent);
  });
  const figures = [latency.floatMs.toFixed(2), `${measured[0].toFixed(2)} x`, ...summary, seconds.toFixed(0)];
  return [name, layers.length, latency.parts.length, ...figures];
}

/** From mostly float to mostly int8, in stretches of one to six layers. */
function randomConfigurations(layers) {
  const random = uniformNumbers(Number(options.seed));
  const count = Number(options.random);
  return Array.from({ length: count }, (_, i) => {
    const length = 1 + Math.floor(random() * 6);
    let takes = false;
    return choose(layers, (at) => {
      if (at % length === 0) takes = random() < (i + 0.5) / count;
      return takes;
    });
  });
}

/** The last choice is int8 where a layer has it. */
function choose(layers, takes) {
  return new Map(layers.map(({ node, choices }, at) => [node, choices.at(takes(at) ? -1 : 0)]));
}

/** The sum of what each layer gains alone, with the activation function behind it. */
async function bySingleLayers(chain, values, floatMs) {
  const { layers, model } = chain.subject;
  const gains = new Map();
  for (const { node: name, choices } of layers) {
    const at = model.graph.node.findIndex((node) => node.name === name);
    const next = model.graph.node[at + 1];
    const fuses = next?.input[0] === model.graph.node[at].output[0] && ["Relu", "Clip"].includes(next.opType);
    const { feeds, export: write } = chain.excerpt(model.graph.node.slice(at, at + (fuses ? 2 : 1)), values);
    const models = [choices[0], choices.at(-1)].map((choice) => ({ model: write(new Map([[name, choice]])), feeds }));
    const [, own] = await steadyTimes(models, { ...session, precisionMs: 0.001 * floatMs, relativePrecision: 0.01 });
    gains.set(name, choices.length > 1 ? own.extraMs : 0);
  }
  return (choices) => {
    const extra = [...choices].reduce(
      (sum, [name, { activation }]) => sum + (activation === "int8" ? gains.get(name) : 0),
      0,
    );
    return 1 + extra / floatMs;
  };
}

function byMacs(layers, values) {
  const shapes = new Map([...values].map(([name, { dims }]) => [name, dims]));
  const macs = new Map(layers.map((layer) => [layer.node, layerMacs(layer, shapes)]));
  const total = [...macs.values()].reduce((sum, count) => sum + count, 0);
  return (choices) => {
    const saved = [...choices].reduce(
      (sum, [name, { activation }]) => sum + (activation === "int8" ? macs.get(name) : 0),
      0,
    );
    return 1 - (0.75 * saved) / total;
  };
}

/** Everything that a run computes, on one sample. */
async function everyValue(engine, model, dataset) {
  const names = model.graph.node.flatMap(({ output }) => output.filter((name) => name !== ""));
  const values = new Map();
  for await (const { feeds } of dataset.batches(dataset.splits.calibration.slice(0, 1), 1)) {
    await engine.run(feeds, { values: names });
    for (const [name, tensor] of Object.entries(feeds)) values.set(name, tensor);
    for (const name of names) values.set(name, await engine.read(name));
  }
  return values;
}

function isFloatOrInt8({ weight, activation }) {
  return (weight === "float" || weight === "int8") && activation === weight;
}

function rangeOf(data) {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of data) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return { min, max };
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function print(cells) {
  console.log(`| ${cells.join(" | ")} |`);
}
