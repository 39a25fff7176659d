import type { Dataset } from "./data/dataset.js";
import { BitwrightError } from "./errors.js";
import type { EngineModel } from "./evaluate/engine-model.js";
import { layerOperators } from "./export/layer-operators.js";
import type { PlannedLayer } from "./export/targets/target.js";
import { intAttribute } from "./onnx/attributes.js";
import type { OnnxModel } from "./onnx/model.js";
import { elementCount, type Tensor } from "./tensor.js";
import { isOutOfMemory } from "./within-memory.js";

/**
 * The model with an input first whose first axis is that of the samples: the engine takes their number from there. What is fed alike for every
 * sample, or has its samples elsewhere, as the state of a recurrent cell, comes after.
 * @throws BitwrightError `invalid-data` when no input has its samples first.
 */
export function samplesInFront(model: OnnxModel, dataset: Dataset): OnnxModel {
  const axes = new Map(dataset.inputs.map(({ name, batchAxis }) => [name, batchAxis]));
  const { input } = model.graph;
  const first = input.find(({ name }) => axes.get(name) === 0);
  if (first === undefined) {
    throw new BitwrightError("invalid-data", "no input of the model has its samples along the first axis", {
      expected: "an input that is fed samples, and takes them there",
      received: [...axes]
        .map(([name, axis]) => `${name}: ${axis === undefined ? "constant" : `axis ${axis}`}`)
        .join(", "),
    });
  }
  const graph = { ...model.graph, input: [first, ...input.filter((other) => other !== first)] };
  return { proto: { ...model.proto, graph }, graph };
}

/** What layers read of some samples. */
interface Samples {
  readonly count: number;
  readonly tensors: readonly Tensor[];
}

/** Samples that are run together; more of them tell more apart. */
const together = 3;

/**
 * The most samples that can share a batch where every sample's derivatives are wanted. These passes take a tensor for its samples, one after the
 * other along an axis. Where a model has them otherwise, as a sequence model with the steps first, or mixes them, each sample has to be run alone.
 * So some samples are run twice, the second time in another order: what the layers read has to follow. Shapes alone cannot tell, since the
 * steps may be a multiple of the samples.
 */
export async function batchOfSamples(
  engine: EngineModel,
  dataset: Dataset,
  model: OnnxModel,
  layers: readonly PlannedLayer[],
  batchSize: number,
): Promise<number> {
  if (dataset.transductive || dataset.fixedBatch === 1 || batchSize === 1) return batchSize;
  const samples = dataset.splits.calibration.slice(0, dataset.fixedBatch ?? together);
  if (samples.length < 2) return batchSize;
  const axes = sampleAxes(model, layers);
  const read = async (order: Uint32Array): Promise<Samples> => {
    for await (const { feeds, indices } of dataset.batches(order, samples.length)) {
      await engine.run(feeds, { values: [...axes.keys()] });
      const tensors: Tensor[] = [];
      for (const name of axes.keys()) tensors.push(await engine.read(name));
      return { count: indices.length, tensors };
    }
    return { count: 0, tensors: [] };
  };
  let forward: Samples;
  let turned: Samples;
  try {
    forward = await read(samples);
    turned = await read(Uint32Array.from([...samples.slice(1), samples[0]!]));
  } catch (error) {
    // So many are too much at once anyway.
    if (isOutOfMemory(error)) return 1;
    throw error;
  }
  // Samples of different shapes do not share batches.
  if (forward.count < samples.length || turned.count < samples.length) return 1;
  const follow = [...axes.values()].every((axis, i) =>
    isTurned(forward.tensors[i]!, turned.tensors[i]!, axis, samples.length),
  );
  return follow ? batchSize : 1;
}

/**
 * What layers that may be quantized read, or make of a table, and the axis along which they take it for samples. A table that is read alike for all samples, as
 * that of positions, follows no order of them: what each sample does to it is only told apart behind the sum over them.
 */
function sampleAxes(model: OnnxModel, layers: readonly PlannedLayer[]): ReadonlyMap<string, number> {
  const nodes = new Map(model.graph.node.map((node) => [node.name, node]));
  const quantizable = layers.filter(({ choices }) => choices.length > 1);
  return new Map(
    quantizable.flatMap(({ node, op, inputs, output }) => {
      const isRecurrent = layerOperators[op]?.stateWeightPort !== undefined;
      const owner = nodes.get(node);
      const stepsFirst = isRecurrent && (owner === undefined || intAttribute(owner, "layout", 0) === 0);
      const tensors = inputs.length === 0 ? [output] : inputs.map(({ tensor }) => tensor);
      return tensors.map((tensor) => [tensor, stepsFirst ? 1 : 0] as const);
    }),
  );
}

/** Whether `turned` is `tensor` with each of `count` equal parts along the axis in the place before, the first one last. */
function isTurned(tensor: Tensor, turned: Tensor, axis: number, count: number): boolean {
  const { dims } = tensor;
  if (axis >= dims.length || dims[axis]! % count !== 0 || dims.join() !== turned.dims.join()) return false;
  const [a, b] = [tensor.data as ArrayLike<number>, turned.data as ArrayLike<number>];
  const length = elementCount(dims.slice(axis));
  const part = length / count;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(Number(a[i])));
  const tolerance = 1e-5 * largest;
  for (let start = 0; start < a.length; start += length) {
    for (let i = 0; i < length; i++) {
      const difference = Math.abs(Number(b[start + i]) - Number(a[start + ((i + part) % length)]));
      if (!(difference <= tolerance)) return false;
    }
  }
  return true;
}
