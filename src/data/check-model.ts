import { BitwrightError } from "../errors.js";
import { dataTypeInfo, dataTypeName } from "../onnx/data-types.js";
import type { OnnxModel } from "../onnx/model.js";
import { type Dim, declaredTypes } from "../onnx/value-types.js";
import type { Batch, Dataset } from "./dataset.js";
import type { InputInfo } from "./input.js";

/**
 * The data set as a model can take it: a model that declares a size for its batches gets batches of that size, whatever size is asked for.
 * @throws BitwrightError `invalid-data` with every input that does not fit, or for samples that do not fill batches of the size that the model demands.
 */
export function fitDataset(dataset: Dataset, model: OnnxModel): Dataset {
  const batchSize = checkAgainstModel(dataset, modelInputs(model));
  checkStates(dataset, model);
  return batchSize === undefined || dataset.transductive ? dataset : ofBatchSize(dataset, batchSize);
}

function ofBatchSize(dataset: Dataset, batchSize: number): Dataset {
  if (batchSize > 1 && dataset.states.length > 0) {
    throw new BitwrightError("invalid-data", "sequences end at different steps, so that batches shrink", {
      expected: "a model with a free batch size, or of 1",
      received: String(batchSize),
    });
  }
  return {
    ...dataset,
    withStates: (known) => ofBatchSize(dataset.withStates(known), batchSize),
    fixedBatch: batchSize,
    batches: (selection, _, options) => {
      const count = typeof selection === "string" ? sampleCount(dataset, selection) : selection.length;
      if (count % batchSize === 0) return wholeBatches(dataset.batches(selection, batchSize, options), batchSize);
      throw new BitwrightError("invalid-data", "the samples do not fill the batches that the model takes", {
        where: typeof selection === "string" ? selection : "samples",
        expected: `a multiple of ${batchSize}`,
        received: String(count),
        remedy: "Change the splits of the manifest, or export the model with a free batch size.",
      });
    },
  };
}

/** Samples of different lengths do not share batches, so that some may not be filled. */
async function* wholeBatches(batches: AsyncIterable<Batch>, batchSize: number): AsyncGenerator<Batch> {
  for await (const batch of batches) {
    if (batch.indices.length !== batchSize) {
      throw new BitwrightError("invalid-data", "samples of one shape do not fill the batches that the model takes", {
        where: `samples ${[...batch.indices].join(", ")}`,
        expected: `${batchSize} of this shape`,
        received: String(batch.indices.length),
        remedy: 'Pad the samples to one length ("padTo"), or export the model with a free batch size.',
      });
    }
    yield batch;
  }
}

/** @throws BitwrightError `invalid-data` when a state is of no output. */
function checkStates({ states }: Pick<Dataset, "states">, { graph }: OnnxModel): void {
  const outputs = graph.output.map(({ name }) => name);
  const odd = states.find(({ output }) => !outputs.includes(output));
  if (odd === undefined) return;
  throw new BitwrightError("invalid-data", "the model has no output that gives this state", {
    where: `input ${odd.name}`,
    expected: outputs.join(", "),
    received: odd.output,
  });
}

function sampleCount({ size, splits }: Dataset, selection: "all" | keyof Dataset["splits"]): number {
  return selection === "all" ? size : splits[selection].length;
}

/** An input that a model declares. */
export interface ModelInput {
  readonly name: string;
  readonly dtype: string;
  /** A size, or anything else for one that is free; undefined when not even the rank is declared. */
  readonly dims: readonly Dim[] | undefined;
}

/** What a model has to be fed; float16 is fed as float32. */
export function modelInputs({ graph }: OnnxModel): ModelInput[] {
  const types = declaredTypes(graph);
  const stored = new Set(graph.initializer.map(({ name }) => name));
  return graph.input
    .filter(({ name }) => !stored.has(name))
    .map(({ name }) => {
      const type = types.get(name);
      const dtype =
        type === undefined ? "no tensor" : (dataTypeInfo(type.dataType)?.holder ?? dataTypeName(type.dataType));
      return { name, dtype, dims: type?.dims };
    });
}

/**
 * Checks that a data set feeds exactly the inputs of a model, with the types and sizes it declares.
 * @returns the batch size that the model's shapes demand, undefined when it is free.
 * @throws BitwrightError `invalid-data` with every input that does not fit.
 */
export function checkAgainstModel(dataset: Pick<Dataset, "inputs">, inputs: readonly ModelInput[]): number | undefined {
  const fed = new Map(dataset.inputs.map((input) => [input.name, input]));
  const declared = new Set(inputs.map(({ name }) => name));
  const problems = [
    ...inputs.flatMap((input) => mismatches(input, fed.get(input.name))),
    ...[...fed.keys()].filter((name) => !declared.has(name)).map((name) => `${name}: the model has no such input`),
  ];
  const batchSizes = new Set(
    inputs.map((input) => fixedBatch(input, fed.get(input.name))).filter((n) => n !== undefined),
  );
  if (batchSizes.size > 1) problems.push(`the inputs demand different batch sizes: ${[...batchSizes].join(", ")}`);
  if (problems.length === 0) return [...batchSizes][0];
  throw new BitwrightError("invalid-data", `the data set does not fit the model\n  ${problems.join("\n  ")}`, {
    remedy: "Correct the inputs of the manifest.",
  });
}

function mismatches({ name, dtype, dims }: ModelInput, fed: InputInfo | undefined): string[] {
  if (fed === undefined) return [`${name}: the data set has no such input`];
  const problems: string[] = [];
  if (fed.dtype !== dtype) problems.push(`${name}: expected ${dtype}, received ${fed.dtype}; set "dtype"`);
  const fits = dims?.every((dim, axis) => !isFixed(dim) || fed.dims[axis] === null || fed.dims[axis] === dim);
  if (dims !== undefined && (dims.length !== fed.dims.length || !fits)) {
    problems.push(`${name}: expected shape ${describe(dims)}, received ${describe(fed.dims)}; see "layout"`);
  }
  return problems;
}

function fixedBatch({ dims }: ModelInput, fed: InputInfo | undefined): number | undefined {
  const dim = fed?.batchAxis === undefined ? undefined : dims?.[fed.batchAxis];
  return isFixed(dim) ? dim : undefined;
}

function isFixed(dim: Dim): dim is number {
  return typeof dim === "number" && dim > 0;
}

function describe(dims: readonly (Dim | null)[]): string {
  return `[${dims.map((dim) => dim ?? "?").join(", ")}]`;
}
