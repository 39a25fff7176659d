import { BitwrightError } from "../errors.js";
import { classLabels } from "./class-labels.js";
import { createDataset, type Dataset, type LabelReader } from "./dataset.js";
import { constantInput, maskInput, typesInput } from "./derived-inputs.js";
import type { Field } from "./field.js";
import { openFileInput, type Reading, type SequenceReader } from "./file-input.js";
import type { Files } from "./files.js";
import { canonicalJson } from "./hash.js";
import type { InputReader } from "./input.js";
import { readIntegers } from "./integers.js";
import type { Metric } from "./metrics/metric.js";
import {
  type CarriedSpec,
  type ClassLabelSpec,
  type DerivedSpec,
  type InputSpec,
  type LabelSpec,
  parseManifest,
} from "./parse-manifest.js";
import { stepsOf } from "./sequences.js";
import { stateInput } from "./states.js";

/** Opens the data set that a manifest describes: headers, lists and labels are read, samples are not. */
export async function openManifest(root: Field, reading: Reading, metric?: Metric): Promise<Dataset> {
  const manifest = parseManifest(root, metric);
  const carried = new Map<string, CarriedSpec>();
  const read = new Map<string, ReadSpec>();
  for (const [name, spec] of manifest.inputs) {
    if (spec.kind === "state") carried.set(name, spec);
    else read.set(name, spec);
  }
  const inputs = await openInputs(read, reading);
  const size = sampleCount(inputs, root);
  const sequences = await manifest.sequences?.(size, reading.files);
  const isFirst = (index: number) => sequences?.starts[sequences.of[index]!] === index;
  const labels = manifest.labels && (await openLabels(manifest.labels, inputs, size, reading.files));
  const targets = manifest.targets && (await openFileInput("targets", manifest.targets, reading));
  if (targets !== undefined && targets.size !== size) {
    manifest.targets!.at.fail(`${size} samples, as many as the inputs have`);
  }
  return createDataset({
    size,
    inputs,
    ...(labels !== undefined && { labels }),
    ...(targets !== undefined && { targets }),
    metric: manifest.metric,
    transductive: manifest.transductive,
    sequences,
    states: [...carried].map(([name, spec]) =>
      stateInput(name, spec, size, isFirst, `${spec.at.document}, ${spec.at.path}`),
    ),
    splits: sequences === undefined ? manifest.splits(size) : stepsOf(manifest.splits(sequences.count), sequences),
    description: canonicalJson(root.value),
  });
}

type ReadSpec = Exclude<InputSpec, CarriedSpec>;

async function openInputs(specs: ReadonlyMap<string, ReadSpec>, reading: Reading): Promise<InputReader[]> {
  const opened = new Map<string, InputReader>();
  for (const [name, spec] of specs) {
    if (spec.kind === "constant") opened.set(name, constantInput(name, spec));
    else if (!isDerived(spec)) opened.set(name, await openFileInput(name, spec, reading));
  }
  return [...specs].map(([name, spec]) => {
    if (!isDerived(spec)) return opened.get(name)!;
    const [derive, field] = spec.kind === "mask" ? [maskInput, "maskOf"] : [typesInput, "typesOf"];
    return derive(name, spec, sequenceNamed(opened, spec.of, spec.at.at(field)));
  });
}

function isDerived(spec: ReadSpec): spec is DerivedSpec {
  return spec.kind === "mask" || spec.kind === "types";
}

function sequenceNamed(inputs: ReadonlyMap<string, InputReader>, name: string, field: Field): SequenceReader {
  const input = inputs.get(name);
  if (input !== undefined && "lengths" in input) return input as SequenceReader;
  return field.fail("the name of an input of sequences", 'An input has sequences if it is .jsonl or has "lengths".');
}

function sampleCount(inputs: readonly InputReader[], root: Field): number {
  const counted = inputs.filter((input) => input.size !== undefined);
  const size = counted[0]?.size ?? root.at("inputs").fail("an input that reads samples from a file");
  const odd = counted.find((input) => input.size !== size);
  if (odd === undefined) return size;
  throw new BitwrightError("invalid-data", "the inputs have different numbers of samples", {
    where: root.document,
    expected: `${size} samples, as in ${counted[0]!.name}`,
    received: `${odd.size} in ${odd.name}`,
  });
}

async function openLabels(
  spec: LabelSpec,
  inputs: readonly InputReader[],
  size: number,
  files: Files,
): Promise<LabelReader> {
  if (spec.kind === "classes") {
    return classLabels(await readClasses(spec, files), size, `${spec.at.document}, ${spec.at.path}`);
  }
  const byName = new Map(inputs.map((input) => [input.name, input]));
  const of = spec.at.at("nextOf");
  const tokens = sequenceNamed(byName, spec.of, of);
  return tokens.dims.length === 2 ? nextTokenLabels(tokens) : of.fail("an input of token ids, [samples, positions]");
}

async function readClasses(spec: ClassLabelSpec, files: Files): Promise<Int32Array> {
  const lists = await Promise.all(spec.references.map((reference) => readIntegers(files, reference, spec.field)));
  return Int32Array.from(
    lists.flatMap((list) => [...list]),
    (label) => label + spec.offset,
  );
}

function nextTokenLabels(tokens: SequenceReader): LabelReader {
  return {
    of(indices, feeds) {
      const { data, dims } = feeds[tokens.name]!;
      const width = dims[1]!;
      const labels = new Int32Array(data.length).fill(-1);
      indices.forEach((index, i) => {
        const length = tokens.lengths[index]!;
        for (let t = 0; t + 1 < length; t++) labels[i * width + t] = Number(data[i * width + t + 1]);
      });
      return labels;
    },
  };
}
