// What both sides compute: a model with samples, the tensors to differentiate in and directions; and how PyTorch gets it.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDataset } from "../../dist/data/open-node.js";
import { EngineModel } from "../../dist/evaluate/engine-model.js";
import { cleanModel } from "../../dist/onnx/clean/index.js";
import { Graph } from "../../dist/onnx/graph.js";
import { readModelFile, writeModelFile } from "../../dist/onnx/model-node.js";

const manifests = join(dirname(fileURLToPath(import.meta.url)), "../zoo");

/** Inputs that the engine takes for constants: statistics and bounds. */
const constantPorts = { BatchNormalization: [3, 4], Clip: [1, 2] };

/**
 * Opens a job's model and data and says what is differentiated: `parameters` (float initializers with a gradient), `weights` (those that are some
 * layer's weight) and `edges` (the activation inputs of these layers), with one direction of signs for every weight and edge.
 */
export async function openJob({ model: name, clean, samples, eachLayer }, { zoo, backend }) {
  const original = await readModelFile(join(zoo, "models", `${name}.onnx`));
  const model = clean ? cleanModel(original).model : original;
  const dataset = await openDataset(join(manifests, `${name}.json`));
  const batches = dataset.batches(samples, samples.length)[Symbol.asyncIterator]();
  const { feeds, labels } = (await batches.next()).value;
  const { weights, parameters, edges } = await differentiated(model, feeds, backend);
  const sites = [...weights, ...(eachLayer ? edges : [])];
  const directions = sites.map(({ elements }, i) => signs(elements, i + 1));
  return {
    model,
    dataset,
    samples,
    feeds,
    labels,
    parameters,
    weights,
    edges: eachLayer ? edges : [],
    directions,
    eachLayer,
  };
}

/** The arguments of nodes whose derivative jumps, as the engine's last run, which kept them, had them. */
export async function kinksOf(engine, model) {
  const nodes = model.graph.node.filter(({ opType }) => opType === "Relu" || opType === "Clip");
  return Promise.all(nodes.map(async ({ name, input }) => ({ node: name, data: (await engine.read(input[0])).data })));
}

/** Writes what job.py reads; `more` goes into job.json as it is. */
export async function writeJob(folder, { model, feeds, labels, kinks, ...more }) {
  await writeModelFile(model, join(folder, "model.onnx"));
  for (const [name, { data }] of Object.entries(feeds)) writeFileSync(join(folder, `${name}.input`), data);
  writeFileSync(join(folder, "sides.f32"), Buffer.concat(kinks.map(({ data }) => Buffer.from(data.buffer))));
  const description = {
    inputs: Object.fromEntries(Object.entries(feeds).map(([name, { dtype, dims }]) => [name, { dtype, dims }])),
    labels: [...labels],
    sides: kinks.map(({ node, data }) => ({ node, elements: data.length })),
    ...more,
  };
  writeFileSync(join(folder, "job.json"), JSON.stringify(description));
}

async function differentiated(model, feeds, backend) {
  const engine = await EngineModel.create(backend, model);
  const constants = new Graph(model);
  const isFloat = (tensor) => constants.constant(tensor)?.dtype === "float32";
  const infos = await engine.graph.describe();
  const layers = model.graph.node
    .map((node) => ({ node, ...infos[engine.node(node.name)] }))
    .filter(({ node, weightPort }) => weightPort !== null && isFloat(node.input[weightPort]));
  await engine.run(feeds, { keep: true });
  const describe = async (tensor) => {
    const { dims } = await engine.read(tensor);
    return { tensor, dims, elements: dims.reduce((product, size) => product * size, 1) };
  };
  const weights = await Promise.all(
    layers.map(async ({ node, weightPort }) => ({ node: node.name, ...(await describe(node.input[weightPort])) })),
  );
  const edges = await Promise.all(
    layers.map(async ({ node, dataPorts, weightPort }) => {
      const port = dataPorts.find((port) => port !== weightPort);
      return { node: node.name, port, ...(await describe(node.input[port])) };
    }),
  );
  const differentiable = model.graph.node.flatMap(({ opType, input }) =>
    input.filter((tensor, port) => isFloat(tensor) && !constantPorts[opType]?.includes(port)),
  );
  const parameters = [...new Set(differentiable)];
  await engine.dispose();
  return { weights, parameters, edges };
}

/** Pseudo-random signs; both sides get them, so that nothing hangs on the generator but that it is no pattern of the network's. */
function signs(count, seed) {
  let state = Math.imul(seed, 0x9e3779b9) >>> 0;
  return Float32Array.from({ length: count }, () => {
    // Marsaglia's xorshift.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0x10000 ? -1 : 1;
  });
}
