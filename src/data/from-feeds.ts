import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import { typedArrays } from "../onnx/typed-arrays.js";
import { type DataType, elementCount, type Feeds, type Tensor } from "../tensor.js";
import { classLabels } from "./class-labels.js";
import { dataTypes, isFloat } from "./convert.js";
import { createDataset, type Dataset } from "./dataset.js";
import { fedAlways } from "./derived-inputs.js";
import { Field } from "./field.js";
import { canonicalJson } from "./hash.js";
import { type InputReader, sameShape, stackSamples } from "./input.js";
import type { DatasetManifest, StateInput } from "./manifest.js";
import { type CustomMetric, customMetric } from "./metrics/custom.js";
import { checkNeeds, parseMetric } from "./metrics/index.js";
import type { MetricChoice } from "./metrics/metric.js";
import { parseState } from "./parse-manifest.js";
import { checkFinite, type Sample } from "./preprocess.js";
import { type Sequences, sequencesOfIds, stepsOf } from "./sequences.js";
import { parseSplits } from "./splits.js";
import { stateInput } from "./states.js";

/** One feed that holds all samples, or feeds of any number of samples each; the first axis of every tensor is the samples. */
export type FeedSource = Feeds | Iterable<Feeds> | AsyncIterable<Feeds>;

export interface DatasetFromOptions {
  /** The class of each sample. */
  readonly labels?: ArrayLike<number>;
  /** True outputs, samples first. */
  readonly targets?: Tensor;
  /** Default: top1 with labels, agreement with the float model without. */
  readonly metric?: MetricChoice | CustomMetric;
  /** A sequence id for each sample: samples next to each other with the same id are the steps of a sequence. */
  readonly sequences?: ArrayLike<number>;
  /** Inputs that are fed the same in every run, without an axis of samples. */
  readonly constants?: Feeds;
  /** Inputs that the model takes from its own outputs of the step before, by name. They need sequences. */
  readonly states?: Readonly<Record<string, StateInput>>;
  /** Of samples, or of sequences where there are any. */
  readonly splits?: DatasetManifest["splits"];
}

/**
 * A data set out of tensors, with the values the model takes. An iterable is read to its end, once, and the samples are
 * kept in memory; what is larger belongs into a file and a manifest.
 * @throws BitwrightError `invalid-data` for tensors that do not fit each other.
 */
export async function datasetFrom(source: FeedSource, options: DatasetFromOptions = {}): Promise<Dataset> {
  if (typeof source !== "object" || source === null) {
    fail("feeds", "no tensors", "tensors by the names of the inputs, or an iterable of such feeds", String(source));
  }
  demand("options", options);
  const samples = await collect(source);
  const inputs = [...samples].map(([name, list]) => samplesInput(name, list.dtype, list.samples));
  const size = inputs[0]?.size ?? fail("feeds", "no samples", "one sample or more", "none");
  for (const [name, value] of Object.entries(options.constants ?? {})) {
    if (samples.has(name)) fail(`constants.${name}`, "the input has samples too", "samples or a constant", "both");
    inputs.push(constantTensor(name, value));
  }
  const { metric, splits } = options;
  const sequences = options.sequences && sequencesOfIds(options.sequences, size, "sequences");
  const states = openStates(options.states ?? {}, size, sequences);
  const choose = parseSplits(new Field("options", "splits", splits), sequences === undefined ? "samples" : "sequences");
  const labels = options.labels && classLabels(Int32Array.from(options.labels, wholeLabel), size, "labels");
  const targets = options.targets && targetsInput(options.targets, size);
  const judged = isChoice(metric)
    ? parseMetric(new Field("options", "metric", metric), labels !== undefined)
    : customMetric(metric, "metric");
  checkNeeds(judged, { labels: labels !== undefined, targets: targets !== undefined }, "options");
  return createDataset({
    size,
    inputs,
    ...(labels !== undefined && { labels }),
    ...(targets !== undefined && { targets }),
    metric: judged,
    sequences,
    states,
    splits: sequences === undefined ? choose(size) : stepsOf(choose(sequences.count), sequences),
    description: canonicalJson({
      inputs: inputs.map(({ name, dtype, dims }) => ({ name, dtype, dims })),
      splits,
      states: options.states,
    }),
  });
}

/** An array of integers would cut off what a number has behind its point. */
function wholeLabel(label: number, index: number): number {
  if (Number.isSafeInteger(label)) return label;
  fail("labels", "not a class number", "whole numbers", `${label} for sample ${index}`);
}

function openStates(states: Readonly<Record<string, StateInput>>, size: number, sequences: Sequences | undefined) {
  return new Field("options", "states", states).entries().map(([name, field]) => {
    if (sequences === undefined) fail("sequences", "states are carried through sequences", "sequences", "none");
    const isFirst = (index: number) => sequences.starts[sequences.of[index]!] === index;
    return stateInput(name, parseState(field), size, isFirst, `options, states.${name}`);
  });
}

function isChoice(metric: MetricChoice | CustomMetric | undefined): metric is MetricChoice | undefined {
  return typeof metric !== "function" && !(typeof metric === "object" && "accumulate" in metric);
}

interface Column {
  readonly dtype: DataType;
  readonly samples: Sample[];
}

async function collect(source: FeedSource): Promise<ReadonlyMap<string, Column>> {
  const columns = new Map<string, Column>();
  for await (const feeds of isIterable(source) ? source : [source as Feeds]) {
    const entries = Object.entries(feeds ?? {});
    for (const [name, tensor] of entries) checkTensor(name, tensor);
    if (columns.size === 0) for (const [name, { dtype }] of entries) columns.set(name, { dtype, samples: [] });
    const names = [...columns.keys()];
    if (entries.length !== names.length || !names.every((name) => Object.hasOwn(feeds, name))) {
      fail("feeds", "two feeds have different inputs", names.join(", "), Object.keys(feeds).join(", "));
    }
    const size = String(entries[0]?.[1].dims[0]);
    for (const [name, tensor] of entries) {
      const { dtype, samples } = columns.get(name)!;
      if (tensor.dtype !== dtype) fail(name, "feeds of different types", dtype, tensor.dtype);
      if (tensor.dims.length === 0) split(name, tensor);
      const length = String(tensor.dims[0]);
      if (length !== size) fail(name, "inputs of different numbers of samples", size, length);
      for (const sample of split(name, tensor)) samples.push(sample);
    }
  }
  return columns;
}

function isIterable(source: FeedSource): source is Iterable<Feeds> | AsyncIterable<Feeds> {
  return Symbol.asyncIterator in source || Symbol.iterator in source;
}

/** Before anything of it is used: programs without types hand over whatever they have. */
function checkTensor(name: string, tensor: Tensor): void {
  demand("options", tensor, name);
  const { dtype, dims, data } = tensor;
  if (!dataTypes.includes(dtype)) fail(name, "unknown element type", dataTypes.join(", "), String(dtype));
  demand("list", dims, `${name}.dims`);
  const array = typedArrays[dtype];
  if (!(data instanceof array)) {
    const received = (data as unknown)?.constructor?.name ?? String(data);
    fail(`${name}.data`, "not the array of its element type", `${array.name} for ${dtype}`, received);
  }
}

/** Copies, because a generator may use its buffers again. */
function split(name: string, { dtype, dims, data }: Tensor): Sample[] {
  const [size, ...rest] = dims;
  if (size === undefined) {
    fail(
      name,
      "a scalar has no samples",
      "a tensor whose first axis is the samples, or a place in constants",
      "no axes",
    );
  }
  const stride = elementCount(rest);
  if (size * stride !== data.length || data.length === 0) {
    fail(name, "unusable tensor", `${elementCount(dims)} elements, samples first`, `${data.length} elements`);
  }
  return Array.from({ length: size }, (_, i) => {
    const sample = data.slice(i * stride, (i + 1) * stride);
    if (isFloat(dtype)) checkFinite(sample as Float32Array, name);
    return { dims: rest, data: sample };
  });
}

/** Copied, as what has samples is. */
function constantTensor(name: string, given: Tensor): InputReader {
  checkTensor(name, given);
  const value = { ...given, dims: [...given.dims], data: given.data.slice() } as Tensor;
  if (elementCount(value.dims) !== value.data.length) {
    fail(name, "unusable tensor", `${elementCount(value.dims)} elements`, `${value.data.length} elements`);
  }
  if (isFloat(value.dtype)) checkFinite(value.data as Float32Array, name);
  return fedAlways(name, value, async function* () {
    const { data } = value;
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
}

function targetsInput(targets: Tensor, size: number): InputReader {
  checkTensor("targets", targets);
  const samples = split("targets", targets);
  if (samples.length !== size) fail("targets", "as many as samples", String(size), String(samples.length));
  return samplesInput("targets", targets.dtype, samples);
}

function samplesInput(name: string, dtype: DataType, samples: readonly Sample[]): InputReader {
  const dims = samples[0]!.dims.map((dim, axis) => (samples.every((s) => s.dims[axis] === dim) ? dim : null));
  return {
    name,
    dtype,
    batchAxis: 0,
    dims: [null, ...dims],
    size: samples.length,
    read: async (indices) => Array.from(indices, (index) => samples[index]!),
    fits: sameShape,
    stack: (chosen) => stackSamples(dtype, chosen, 0, name),
    async *contents() {
      for (const { data } of samples) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    },
  };
}

function fail(where: string, summary: string, expected: string, received: string): never {
  throw new BitwrightError("invalid-data", summary, { where, expected, received });
}
