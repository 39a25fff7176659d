// What both sides compute: a model with samples, the tensors to differentiate in and directions.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDataset } from "../../dist/data/open-node.js";
import { EngineModel } from "../../dist/evaluate/engine-model.js";
import { cleanModel } from "../../dist/onnx/clean/index.js";
import { Graph } from "../../dist/onnx/graph.js";
import { readModelFile } from "../../dist/onnx/model-node.js";

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
