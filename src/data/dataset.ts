import { throwIfAborted } from "../abort.js";
import { BitwrightError } from "../errors.js";
import type { Feeds, Tensor } from "../tensor.js";
import { type Places, plainBatches, rolledBatches } from "./batch-plan.js";
import { hashParts } from "./hash.js";
import type { InputInfo, InputReader } from "./input.js";
import type { SplitName } from "./manifest.js";
import type { Metric } from "./metrics/metric.js";
import type { Sample } from "./preprocess.js";
import type { Sequences } from "./sequences.js";
import type { Splits } from "./splits.js";
import type { KnownState, StateInfo, StateReader } from "./states.js";

/** Samples that a model is calibrated, searched and verified on. Nothing is read before it is asked for. */
export interface Dataset {
  /** Number of samples. */
  readonly size: number;
  readonly inputNames: readonly string[];
  /** What is fed to each input. */
  readonly inputs: readonly InputInfo[];
  /** Size of the batches that a model demands; see `fitDataset`. */
  readonly fixedBatch?: number;
  /** Inputs that are fed the same in every batch. */
  readonly constants?: Feeds;
  readonly metric: Metric;
  /** The class of each sample; undefined for data without labels, and for next-token labels, which batches carry. */
  readonly labels?: Int32Array;
  /** Sample indices of each split, disjoint. */
  readonly splits: Splits;
  /** Whether every batch holds all samples, with labels for the chosen ones alone. */
  readonly transductive?: boolean;
  /** Given where samples are steps of sequences. */
  readonly sequences?: Sequences;
  /** Inputs that the model takes from its own outputs of the step before; none once the states are known. */
  readonly states: readonly StateInfo[];
  /** The same data with the states before its steps, by input: every step is a sample like any other then. */
  withStates(known: ReadonlyMap<string, KnownState>): Dataset;
  /** SHA-256, in hexadecimal, over the manifest and every byte of the data; binds a saved analysis to them. */
  hash(): Promise<string>;
  /**
   * The chosen samples in batches of at most `batchSize`, in an order that suits them: samples of one shape together, and with `states` the steps of several
   * sequences side by side. Feeds then hold the initial states at first steps and none at later ones, which `CarriedStates` fills in. The next batch is
   * prepared while the current one is used. The values of a sample do not depend on its batch.
   */
  batches(selection: Selection, batchSize: number, options?: BatchOptions): AsyncIterable<Batch>;
}

/** A split, all samples, or sample indices. */
export type Selection = SplitName | "all" | ArrayLike<number>;

export interface BatchOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface Batch {
  /** Index of each sample in the data set. */
  readonly indices: Uint32Array;
  /** Where each sample is in the selection. */
  readonly places: Uint32Array;
  /** The sequence of each sample, where samples are steps of sequences. */
  readonly sequences?: Uint32Array;
  readonly feeds: Feeds;
  /** The class of each sample; for next-token labels [samples * positions], -1 where there is none. */
  readonly labels?: Int32Array;
  /** True outputs, samples first. */
  readonly targets?: Tensor;
}

/** What a data set is made of. */
export interface DatasetParts {
  readonly size: number;
  readonly inputs: readonly InputReader[];
  readonly labels?: LabelReader;
  readonly targets?: InputReader;
  readonly metric: Metric;
  readonly transductive?: boolean;
  readonly sequences?: Sequences | undefined;
  readonly states?: readonly StateReader[];
  readonly splits: Splits;
  /** Says how the bytes of the data become feeds. */
  readonly description: string;
}

export interface LabelReader {
  /** The class of each sample, if that is what the labels are. */
  readonly classes?: Int32Array;
  of(indices: Uint32Array, feeds: Feeds): Int32Array;
}

export function createDataset(parts: DatasetParts): Dataset {
  const { size, labels, metric, splits, transductive = false, sequences, states = [] } = parts;
  const info = ({ name, dtype, dims, batchAxis }: InputInfo): InputInfo => ({ name, dtype, dims, batchAxis });
  const inputs = [...parts.inputs, ...states].map(info);
  let hash: Promise<string> | undefined;
  const hashed = () => (hash ??= hashDataset(parts));
  return {
    size,
    inputNames: inputs.map(({ name }) => name),
    inputs,
    constants: Object.fromEntries(
      parts.inputs.flatMap((input) => (input.size === undefined ? [[input.name, input.stack([])]] : [])),
    ),
    metric,
    ...(labels?.classes !== undefined && { labels: labels.classes }),
    splits,
    ...(transductive && { transductive }),
    ...(sequences !== undefined && { sequences }),
    states: states.map((state) => ({ ...info(state), output: state.output })),
    withStates(known) {
      const found = states.map((state) => state.knowing(known.get(state.name) ?? (() => undefined)));
      return { ...createDataset({ ...parts, inputs: [...parts.inputs, ...found], states: [] }), hash: hashed };
    },
    hash: hashed,
    batches: (selection, batchSize, options = {}) => {
      const indices = indicesOf(parts, selection);
      return transductive
        ? wholeBatch(parts, indices, options.signal)
        : readBatches(parts, indices, checkBatchSize(batchSize), options.signal);
    },
  };
}

/** All samples at once, -1 for the labels of those that were not chosen. */
async function* wholeBatch(
  parts: DatasetParts,
  chosen: Uint32Array,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch> {
  throwIfAborted(signal);
  const counted = new Set(chosen);
  const all = indicesOf(parts, "all");
  for (const batch of await readChunk(parts, parts.inputs, all, all)) {
    const labels = batch.labels!.map((label, i) => (counted.has(batch.indices[i]!) ? label : -1));
    yield { ...batch, labels };
  }
}

function hashDataset({ inputs, labels, targets, sequences, description }: DatasetParts): Promise<string> {
  const own = [new TextEncoder().encode(description), bytesOf(labels?.classes ?? new Int32Array())];
  if (sequences !== undefined) own.push(bytesOf(sequences.starts));
  return hashParts([
    ...own.map(async function* (bytes) {
      yield bytes;
    }),
    ...[...inputs, ...(targets === undefined ? [] : [targets])].map((input) => input.contents()),
  ]);
}

function bytesOf(array: Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function indicesOf({ splits, size }: DatasetParts, selection: Selection): Uint32Array {
  if (selection === "all") return Uint32Array.from({ length: size }, (_, i) => i);
  if (typeof selection === "string") {
    if (Object.hasOwn(splits, selection)) return splits[selection];
    throw new BitwrightError("invalid-option", "no such split", {
      expected: `all, ${Object.keys(splits).join(", ")}, or indices`,
      received: selection,
    });
  }
  return Uint32Array.from(selection, (index) => {
    if (Number.isInteger(index) && index >= 0 && index < size) return index;
    throw new BitwrightError("invalid-option", "no such sample", {
      expected: `an index in [0, ${size - 1}]`,
      received: String(index),
    });
  });
}

function checkBatchSize(batchSize: number): number {
  if (Number.isInteger(batchSize) && batchSize > 0) return batchSize;
  throw new BitwrightError("invalid-option", "unusable batch size", {
    expected: "a positive integer",
    received: String(batchSize),
  });
}

async function* readBatches(
  parts: DatasetParts,
  indices: Uint32Array,
  batchSize: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch> {
  const { inputs, states = [], sequences } = parts;
  const rolled = states.length > 0;
  const plan = rolled ? rolledBatches(indices, sequences!, batchSize) : plainBatches(inputs, indices, batchSize);
  const read = (places: Places | undefined) => {
    if (places === undefined) return undefined;
    const first = indices[places[0]!]!;
    const isFirst = rolled && sequences!.starts[sequences!.of[first]!] === first;
    const batches = readChunk(parts, isFirst ? [...inputs, ...states] : inputs, indices, places);
    // A failure is reported when its turn comes; until then, or if the reader stops early, it must not count as unhandled.
    batches.catch(() => {});
    return batches;
  };
  let current = read(plan[0]);
  for (let next = 1; current !== undefined; next++) {
    throwIfAborted(signal);
    const batches: Batch[] = await current;
    current = read(plan[next]);
    for (const batch of batches) {
      throwIfAborted(signal);
      yield batch;
    }
  }
}

async function readChunk(
  { labels, targets, sequences }: DatasetParts,
  inputs: readonly InputReader[],
  selection: Uint32Array,
  places: Places,
): Promise<Batch[]> {
  const indices = places.map((place) => selection[place]!);
  const readers = targets === undefined ? inputs : [...inputs, targets];
  const samples = await Promise.all(readers.map((reader) => reader.read(indices)));
  return runsThatFit(readers, samples, indices.length).map(([first, end]) => {
    const stack = (reader: InputReader, r: number) => reader.stack(samples[r]!.slice(first, end));
    const feeds = Object.fromEntries(inputs.map((input, i) => [input.name, stack(input, i)]));
    const inBatch = indices.slice(first, end);
    return {
      indices: inBatch,
      places: places.slice(first, end),
      ...(sequences !== undefined && { sequences: inBatch.map((index) => sequences.of[index]!) }),
      feeds,
      ...(labels !== undefined && { labels: labels.of(inBatch, feeds) }),
      ...(targets !== undefined && { targets: stack(targets, inputs.length) }),
    };
  });
}

/** Cuts `count` samples into runs `[first, end)` in which every input's samples fit the first. */
function runsThatFit(readers: readonly InputReader[], samples: readonly (readonly Sample[])[], count: number) {
  const runs: [number, number][] = [];
  for (let first = 0, i = 1; first < count; i++) {
    const fits =
      i < count &&
      readers.every((reader, r) => reader.size === undefined || reader.fits(samples[r]![first]!, samples[r]![i]!));
    if (fits) continue;
    runs.push([first, i]);
    first = i;
  }
  return runs;
}
