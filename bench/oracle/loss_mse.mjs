// Holds the criteria loss-mse and loss-mse-noise to per-sample gradients of PyTorch in double precision: for all int4 weights of resnet20, corrections of
// biases left out, and for noise on all activations. README.md says how to run it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadBackend } from "../../dist/backend/load-node.js";
import { EngineModel } from "../../dist/evaluate/engine-model.js";
import { targets } from "../../dist/export/targets/index.js";
import { quantizerOfWeight } from "../../dist/export/weight-quantizer.js";
import { Graph } from "../../dist/onnx/graph.js";
import { lossMse, lossMseNoise } from "../../dist/sensitivity/loss-mse.js";
import { weightError } from "../../dist/sensitivity/rounding.js";
import { weightNoise } from "../../dist/sensitivity/rounding-noise.js";
import { kinksOf, openJob, writeJob } from "./job.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: args } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    zoo: { type: "string", default: join(here, "../../../shared/zoo") },
    backend: { type: "string", default: "native" },
  },
});
/** What rounding to float32 explains of a relative difference. */
const limit = 1e-4;

const backend = await loadBackend(args.backend);
const samples = Array.from({ length: 32 }, (_, i) => 1000 + i);
const job = await openJob(
  { model: "resnet20_cifar10_bn", clean: true, samples, eachLayer: true },
  { zoo: args.zoo, backend },
);
const engine = await EngineModel.create(backend, job.model, { threads: 2 });
const context = { ...(await sensitivityContext()), engine };
const found = await scores();
const expected = await pytorch();

let failures = 0;
check("loss-mse of int4 weights, worst", context.weights, (i) => [found.actual[i], expected.actual[i]]);
check("loss-mse-noise of int4 weights, worst", context.weights, (i) => [found.noise[i], expected.noise[i]]);
const edges = context.sites.slice(context.weights.length);
const first = context.weights.length;
check("loss-mse-noise of activations, worst", edges, (i) => [found.noise[first + i], expected.noise[first + i]]);
check("mean squared loss", [{ id: "" }], () => [found.squaredLosses, expected.squaredLosses]);
await engine.dispose();
process.exitCode = failures === 0 ? 0 : 1;

async function sensitivityContext() {
  const constants = new Graph(job.model);
  const weights = targets["ort-cpu"].layers(job.model).map((layer) => {
    const { initializer: tensor, port } = layer.weight;
    const quantizer = quantizerOfWeight(layer, constants.constant(tensor), "int4");
    const layout = { node: layer.node, port, initializer: tensor, quantizer, storage: "int4", kernel: "float" };
    const alone = () => ({ weights: [layout], biases: [], edges: [] });
    return site(layer.node, "weight", tensor, port, new Map([["int4", quantizer]]), alone);
  });
  const activations = job.edges.map(({ node, port, tensor }) => {
    const quantizer = { qmin: 0, qmax: 255, bits: 8, scales: Float32Array.of(0.02), zeroPoints: Int32Array.of(128) };
    const edge = { node, port, tensor, quantizer };
    return site(node, "activation", tensor, port, new Map([["int8", quantizer]]), () => ({
      ...{ weights: [], biases: [] },
      edges: [edge],
    }));
  });
  return {
    backend,
    dataset: job.dataset,
    samples: Uint32Array.from(samples),
    batchSize: 8,
    sites: [...weights, ...activations],
    weights,
    weight: ({ tensor }) => constants.constant(tensor),
    constant: (tensor) => constants.constant(tensor),
    divergence: "kl",
    seed: 0,
  };
}

function site(node, kind, tensor, port, quantizers, alone) {
  return { id: `${node}/${kind}`, node, kind, tensor, port, quantizers, alone };
}

async function scores() {
  let squaredLosses;
  const onMeanSquaredLoss = (value) => {
    squaredLosses = value;
  };
  const costs = (result) => context.sites.map(({ id }) => Object.values(result[id].cost)[0]);
  const actual = costs(await lossMse.score({ ...context, onMeanSquaredLoss }));
  return { actual, noise: costs(await lossMseNoise.score(context)), squaredLosses };
}

async function pytorch() {
  const folder = mkdtempSync(join(tmpdir(), "bitwright-oracle-"));
  try {
    await writeFolder(folder);
    const script = join(here, "loss_mse.py");
    const { status, error } = spawnSync(args.python, [script, folder], { stdio: ["ignore", "inherit", "inherit"] });
    if (status !== 0) throw new Error(`${args.python} failed${error ? `: ${error.message}` : ""}`);
    return JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function writeFolder(folder) {
  const { model, feeds, labels } = job;
  const errors = [];
  for (const weight of context.weights) errors.push(await weightError(context, weight, "int4"));
  const variances = context.weights.map((weight) => weightNoise(context, weight, "int4"));
  const bytes = (arrays) => Buffer.concat(arrays.map(({ buffer }) => Buffer.from(buffer)));
  writeFileSync(join(folder, "errors.f32"), bytes(errors));
  writeFileSync(join(folder, "variances.f32"), bytes(variances));
  // Where rounding puts an argument on the other side of a kink, both derivatives are right: PyTorch takes the engine's.
  await engine.run(feeds, { keep: true });
  const kinks = await kinksOf(engine, model);
  const weights = context.weights.map(({ tensor }) => tensor);
  const edges = job.edges.map((edge) => ({ ...edge, variance: Math.fround(0.02) ** 2 / 12 }));
  await writeJob(folder, { model, feeds, labels, kinks, weights, edges });
}

/** The largest relative difference of pairs of figures. */
function check(figure, sites, pair) {
  const differences = sites.map((_, i) => {
    const [ours, theirs] = pair(i);
    return Math.abs(ours / theirs - 1);
  });
  const worst = Math.max(...differences);
  const agrees = worst <= limit;
  if (!agrees) failures++;
  const where = sites[differences.indexOf(worst)]?.id ?? "";
  console.log(
    `${figure.padEnd(40)}${worst.toExponential(1).padStart(9)}  limit ${limit}  ${agrees ? "ok" : "FAIL"}  ${where}`,
  );
}
