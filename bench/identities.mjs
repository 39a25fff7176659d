// Holds whole models to onnxruntime and to the identities that exact derivatives satisfy, and prints a table in Markdown.
//   node bench/identities.mjs [MODEL ...] [--samples 2] [--side 24] [--backend native] [--threads 2] [--zoo ../shared/zoo]
// MODEL is the name of a manifest in bench/zoo, which is fed real data, or a file; without any, all of the zoo. A file FOLDER/NAME.*.onnx of
// bench/exporters is fed FOLDER/NAME.feeds.json. Exits with 1 when a figure is beyond its limit; a model with operators that the engine lacks is named with them. Needs dist/.
//
// With d a direction of all weights of layers, c a random cotangent of the first output y, L = <c, y>, in double:
//   forward    y of the engine in float32 against the file in an unoptimized onnxruntime session; relative to the largest element, all outputs
//   J d        against central differences of y                  H d        against central differences of the gradient
//   transpose  <c, J d> = <grad L, d>                            symmetry   <e, H d> = <d, H e>
// The steps are exact in float32. Where one carries an argument over a kink, of a ReLU or a greatest element, differences are off and derivatives are not: in
// networks with kinks d moves one weight of a few layers by so little that hardly an argument gets there. Where the output hardly moves
// either, as a softmax that is sure of itself, what rounding leaves of its differences is no measure: other steps are tried until both differences are
// inside the limit, and the smallest distances are shown. A wrong derivative is off at every step.
// Pictures are cut to --side x --side where the model takes any size, since plain loops in double are slow.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { InferenceSession, Tensor as RuntimeTensor } from "onnxruntime-node";
import { loadBackend } from "../dist/backend/load-node.js";
import { openDataset } from "../dist/data/open-node.js";
import { EngineModel } from "../dist/evaluate/engine-model.js";
import { findLayers, hasWeight } from "../dist/export/layers.js";
import { narrowFloats, widenFloats } from "../dist/export/narrow-floats.js";
import { inspect } from "../dist/inspect.js";
import { cleanModel } from "../dist/onnx/clean/index.js";
import { Graph } from "../dist/onnx/graph.js";
import { readModelFile } from "../dist/onnx/model-node.js";
import { declaredTypes } from "../dist/onnx/value-types.js";
import { defaultZoo, root, zooModel } from "./zoo-cli.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    samples: { type: "string", default: "2" },
    side: { type: "string", default: "24" },
    backend: { type: "string", default: "native" },
    threads: { type: "string", default: "2" },
    zoo: { type: "string", default: defaultZoo },
  },
});
const samples = Number(options.samples);
const threads = Number(options.threads);
const backend = await loadBackend(options.backend);

/** Operators whose derivative jumps. */
const kinked = new Set(
  "Relu LeakyRelu PRelu ThresholdedRelu Clip Shrink Abs HardSigmoid HardSwish Selu MaxPool GlobalMaxPool ReduceMax ReduceMin ReduceL1 Max Min TopK".split(
    " ",
  ),
);

/** What float32 and, in the differences, kinks explain. A model in half precision is computed in float32, by onnxruntime in halves. */
const limits = { forward: 1e-4, halves: 3e-2, differences: 1e-3, identities: 1e-9 };

const headings = ["model", "nodes", "layers", "forward", "J d", "transpose", "H d", "symmetry", ""];
console.log(`| ${headings.join(" | ")} |\n|${headings.map(() => "---").join("|")}|`);
const zoo = readdirSync(join(root, "bench", "zoo")).map((file) => basename(file, ".json"));
let failures = 0;
for (const model of positionals.length > 0
  ? positionals.map((given) => (given.endsWith(".onnx") ? exported(given) : ofZoo(given)))
  : zoo.map(ofZoo)) {
  const cells = await row(model).catch((error) => [
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    `failed: ${error.message.replaceAll("\n", " ")}`,
  ]);
  if (!["ok", "lacks"].some((word) => cells.at(-1).startsWith(word))) failures++;
  console.log(`| ${[model.name, ...cells].join(" | ")} |`);
}
process.exitCode = failures > 0 ? 1 : 0;

function ofZoo(name) {
  const { model, manifest } = zooModel(options.zoo, name);
  const open = async ({ graph }) => {
    const dataset = await openDataset(manifest);
    const types = declaredTypes(graph);
    const fixed = graph.input.map(({ name }) => types.get(name)?.dims?.[0]).filter((size) => typeof size === "number");
    const count = Math.min(samples, ...fixed);
    const selection = dataset.transductive ? "verify" : dataset.splits.verify.slice(0, count);
    const batches = dataset.batches(selection, count)[Symbol.asyncIterator]();
    return { feeds: (await batches.next()).value.feeds, given: dataset.constants };
  };
  return { name, path: model, open };
}

function exported(path) {
  const arrays = { float32: Float32Array, int64: BigInt64Array };
  const open = async () => {
    const stored = JSON.parse(readFileSync(join(dirname(path), `${basename(path).split(".")[0]}.feeds.json`), "utf8"));
    const tensor = ({ dtype, dims, data }) => ({
      dtype,
      dims,
      data: arrays[dtype].from(data, dtype === "int64" ? BigInt : Number),
    });
    return { feeds: Object.fromEntries(Object.entries(stored).map(([name, value]) => [name, tensor(value)])) };
  };
  return { name: basename(path, ".onnx"), path, open };
}

async function row({ path, open }) {
  const original = await readModelFile(path);
  const { feeds: whole, given } = await open(original);
  const feeds = cutToSide(original, whole);
  const { unsupported, layers } = await inspect(backend, original, { target: "ort-cpu", bytes: 0, given });
  const counts = [String(original.graph.node.length), String(layers.length)];
  if (unsupported.length > 0) {
    const list = unsupported.map(({ op, nodes }) => `${op} (${nodes.length})`).join(", ");
    return [...counts, "", "", "", "", "", `lacks ${list}`];
  }
  const { model } = cleanModel(original, { given });
  const halves = original.graph.initializer.some(({ dataType }) => dataType === 10 || dataType === 16);
  const forward = await forwardError(path, model, feeds, halves);
  const found = await identities(model, feeds).catch((error) => {
    // Rows that all samples share, as those of a table of positions, tell none apart.
    if (error.code !== "unsupported-op" || !error.message.includes("one sample at a time")) throw error;
    return identities(model, lastSample(feeds));
  });
  const beyond = [
    [forward, halves ? limits.halves : limits.forward],
    [found.tangent, limits.differences],
    [found.transpose, limits.identities],
    [found.product, limits.differences],
    [found.symmetry, limits.identities],
  ].some(([value, limit]) => !(value <= limit));
  const figures = [forward, found.tangent, found.transpose, found.product, found.symmetry].map((value) =>
    value.toExponential(1),
  );
  return [...counts, ...figures, beyond ? "BEYOND ITS LIMIT" : "ok"];
}

function lastSample(feeds) {
  const last = ({ dtype, dims: [count, ...each], data }) => ({
    dtype,
    dims: [1, ...each],
    data: data.slice(((count - 1) * data.length) / count),
  });
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, last(tensor)]));
}

/** The upper left corners of pictures whose height and width are open. */
function cutToSide({ graph }, feeds) {
  const side = Number(options.side);
  const types = declaredTypes(graph);
  const isOpen = (name) => {
    const dims = types.get(name)?.dims ?? [];
    return dims.length === 4 && dims.slice(2).every((size) => typeof size !== "number");
  };
  const cut = ({ dtype, dims: [samples, channels, height, width], data }) => {
    const [rows, columns] = [Math.min(side, height), Math.min(side, width)];
    const kept = new data.constructor(samples * channels * rows * columns);
    for (let row = 0; row < samples * channels * rows; row++) {
      const first = (Math.floor(row / rows) * height + (row % rows)) * width;
      kept.set(data.subarray(first, first + columns), row * columns);
    }
    return { dtype, dims: [samples, channels, rows, columns], data: kept };
  };
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, isOpen(name) ? cut(tensor) : tensor]));
}

async function forwardError(path, model, feeds, halves) {
  const expected = await runFile(path, feeds, halves);
  const engine = await EngineModel.create(backend, model, { threads });
  try {
    await engine.run(feeds);
    let worst = 0;
    for (const [name, wanted] of Object.entries(expected)) {
      const { data } = await engine.read(name);
      if (data.length !== wanted.length)
        throw new Error(`${name} has ${data.length} elements instead of ${wanted.length}`);
      let scale = 1e-30;
      let error = 0;
      for (let i = 0; i < data.length; i++) {
        scale = Math.max(scale, Math.abs(Number(wanted[i])));
        // Written so that NaN is the worst.
        const difference = Math.abs(Number(data[i]) - Number(wanted[i]));
        if (!(difference <= error)) error = difference;
      }
      if (!(error / scale <= worst)) worst = error / scale;
    }
    return worst;
  } finally {
    await engine.dispose();
  }
}

/** The outputs of a file as it stands, without the runtime's optimizations; halves are fed and read as float32. */
async function runFile(path, feeds, halves) {
  const session = await InferenceSession.create(path, {
    // Without the basic ones onnxruntime 1.30 mistypes casts that it puts around operators without kernels for halves.
    graphOptimizationLevel: halves ? "basic" : "disabled",
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
  });
  const types = new Map(session.inputMetadata.map(({ name, type }) => [name, type]));
  const inputs = Object.entries(feeds).map(([name, { dtype, dims, data }]) =>
    types.get(name) === "float16"
      ? [name, new RuntimeTensor("float16", narrowFloats(data, "fp16"), dims)]
      : [name, new RuntimeTensor(dtype, data, dims)],
  );
  const outputs = await session.run(Object.fromEntries(inputs));
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { type, data }]) => [
      name,
      type === "float16" ? widenFloats(new Uint16Array(data.buffer, data.byteOffset, data.length), "fp16") : data,
    ]),
  );
}

async function identities(model, feeds) {
  const constants = new Graph(model);
  const stored = new Set(
    findLayers(constants)
      .filter(hasWeight)
      .map(({ weight }) => weight.initializer),
  );
  // Directions are those of products: a weight that something else reads too, as a tied embedding, stands still.
  const names = [...stored].filter((name) => constants.uses(name).length === 1);
  if (names.length === 0) throw new Error("no layer to differentiate in");
  const base = names.map((name) => constants.constant(name).data);
  const kinks = model.graph.node.some(({ opType }) => kinked.has(opType));
  const engine = await EngineModel.create(backend, model, { precision: "float64", threads });
  try {
    const { graph } = engine;
    const ids = names.map((name) => engine.value(name));
    const output = engine.value(engine.outputs[0]);
    let cotangent;
    const run = async (direction, factor) => {
      for (const [i, id] of ids.entries()) {
        const moved = direction && base[i].map((weight, j) => weight + factor * direction[i][j]);
        await graph.setConstant(id, moved);
      }
      await engine.run(feeds, { keep: true });
      const y = (await graph.read(output)).data;
      cotangent ??= signs(y.length, 7);
      await graph.loss({ kind: "linear", value: output, target: cotangent });
      await graph.gradient(ids);
      const gradients = [];
      for (const id of ids) gradients.push(await graph.readWeightGradient(id));
      return { y, gradients };
    };
    const { gradients } = await run(undefined, 0);
    const gradient = joined(gradients);
    const steps = [1, 2].map((seed) =>
      kinks ? fewSteps(base, gradients, seed) : base.map((weights, i) => exactSteps(weights, 1000 * seed + i, 16)),
    );
    const [d, e] = steps.map(joined);
    await graph.setSites({ weights: ids, probes: 2 });
    for (const [p, direction] of steps.entries())
      for (const i of ids.keys()) await graph.setDirection(i, p, direction[i]);
    await graph.tangent();
    const tangent = (await graph.readTangent(output, 0)).data;
    await graph.loss({ kind: "linear", value: output, target: cotangent });
    await graph.hessian({ products: true });
    const products = [[], []];
    for (const p of [0, 1]) for (const id of ids) products[p].push(await graph.readProduct(id, p));
    const [hd, he] = products.map(joined);
    if (tangent.every((slope) => slope === 0)) throw new Error("no weight of a layer moves the output");
    const found = { tangent: Number.POSITIVE_INFINITY, product: Number.POSITIVE_INFINITY };
    for (const factor of [1, 2 ** -3, 2 ** 6, 2 ** 12]) {
      const above = await run(steps[0], factor);
      const below = await run(steps[0], -factor);
      const products = [above, below].map(({ gradients }) => joined(gradients));
      found.tangent = Math.min(found.tangent, distance(tangent, central(above.y, below.y, factor)));
      found.product = Math.min(found.product, distance(hd, central(...products, factor)));
      if (Math.max(found.tangent, found.product) <= limits.differences) break;
    }
    return {
      ...found,
      transpose: Math.abs(dot(cotangent, tangent) - dot(gradient, d)) / spread(gradient, d),
      symmetry: Math.abs(dot(e, hd) - dot(d, he)) / Math.max(spread(e, hd), 1e-300),
    };
  } finally {
    await engine.dispose();
  }
}

/** Steps of about 2^-bits of each weight, with random signs, whose sums with the weights are exact in float32; zeros, as those of masks, stand still. */
function exactSteps(weights, seed, bits) {
  return signs(weights.length, seed).map((sign, i) => sign * 2 ** (Math.floor(Math.log2(Math.abs(weights[i]))) - bits));
}

/** One small step in each of three layers, the first, the last and one between them: of a weight that moves the output, but less than most. */
function fewSteps(base, gradients, seed) {
  const moved = [0, Math.floor((seed * base.length) / 3), base.length - 1];
  return base.map((weights, i) => {
    const steps = new Float32Array(weights.length);
    if (!moved.includes(i)) return steps;
    const effects = weights.map((weight, j) => Math.abs(weight * gradients[i][j]));
    const effective = [...effects.keys()].filter((j) => effects[j] > 0).sort((a, b) => effects[a] - effects[b]);
    if (effective.length === 0) return steps;
    const at = effective[Math.floor((seed * effective.length) / 20)];
    steps[at] = exactSteps(weights.subarray(at, at + 1), seed, 20)[0];
    return steps;
  });
}

/** Marsaglia's xorshift. */
function signs(count, seed) {
  let state = Math.imul(seed, 0x9e3779b9) >>> 0 || 1;
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0x10000 ? -1 : 1;
  });
}

function joined(parts) {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function central(above, below, step) {
  return Float64Array.from(above, (value, i) => (value - below[i]) / (2 * step));
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/** The size of an inner product's terms, by which its rounding is judged. */
function spread(a, b) {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value * b[i]) ** 2, 0));
}

/** |a - b| / |b| */
function distance(a, b) {
  let error = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    error += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return error === 0 ? 0 : Math.sqrt(error / size);
}
