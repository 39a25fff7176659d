import type { DataType } from "../tensor.js";
import type { Field } from "./field.js";
import { checkNeeds, parseMetric } from "./metrics/index.js";
import type { Metric } from "./metrics/metric.js";
import { type FileSpec, parseColumn, parseFile, parseType } from "./parse-file.js";
import { parseSequences, type SequencesReader } from "./sequences.js";
import { parseSplits, type Splits } from "./splits.js";
import type { StateSpec } from "./states.js";
import type { Column } from "./table.js";

/** A manifest after validation, every default filled in. */
export interface ParsedManifest {
  readonly inputs: ReadonlyMap<string, InputSpec>;
  readonly labels: LabelSpec | undefined;
  readonly targets: FileSpec | undefined;
  readonly metric: Metric;
  readonly transductive: boolean;
  readonly sequences: SequencesReader | undefined;
  /** The splits of so many samples, or sequences where there are any. */
  readonly splits: (size: number) => Splits;
}

export type InputSpec = FileSpec | DerivedSpec | ConstantSpec | CarriedSpec;

export interface CarriedSpec extends StateSpec {
  readonly kind: "state";
  readonly at: Field;
}

export interface DerivedSpec {
  readonly kind: "mask" | "types";
  readonly at: Field;
  /** The sequence input that it is made of. */
  readonly of: string;
  readonly dtype: DataType | undefined;
}

export interface ConstantSpec {
  readonly kind: "constant";
  readonly at: Field;
  /** One value for all elements, or all of them. */
  readonly values: readonly number[];
  readonly dims: readonly number[];
  readonly dtype: DataType;
}

export type LabelSpec = ClassLabelSpec | { readonly kind: "next"; readonly at: Field; readonly of: string };

export interface ClassLabelSpec {
  readonly kind: "classes";
  readonly at: Field;
  readonly references: readonly string[];
  readonly field: Column;
  readonly offset: number;
}

/**
 * Validates a manifest; every failure is a `BitwrightError` of code `invalid-data` that names the field.
 * @param ownMetric takes the place of the manifest's.
 */
export function parseManifest(root: Field, ownMetric?: Metric): ParsedManifest {
  const fields = root.object([
    "description",
    "inputs",
    "labels",
    "targets",
    "metric",
    "transductive",
    "sequences",
    "splits",
  ]);
  const inputs = new Map(fields.inputs.entries().map(([name, field]) => [name, parseInput(field)]));
  if (inputs.size === 0) fields.inputs.fail("one input or more");
  const labels = fields.labels.present ? parseLabels(fields.labels) : undefined;
  const targets = fields.targets.present ? parseFile(fields.targets) : undefined;
  const metric = ownMetric ?? parseMetric(fields.metric, labels !== undefined);
  checkNeeds(metric, { labels: labels !== undefined, targets: targets !== undefined }, root.document);
  const transductive = fields.transductive.present && fields.transductive.boolean();
  if (transductive && labels?.kind !== "classes") fields.transductive.fail("no such field without class labels");
  const sequences = fields.sequences.present ? parseSequences(fields.sequences) : undefined;
  if (transductive && sequences !== undefined) fields.sequences.fail("no such field beside transductive");
  if (sequences === undefined && [...inputs.values()].some(({ kind }) => kind === "state")) {
    fields.sequences.fail("where the sequences start and end that states are carried through");
  }
  const splits = parseSplits(fields.splits, sequences === undefined ? "samples" : "sequences");
  return { inputs, labels, targets, metric, transductive, sequences, splits };
}

function parseInput(field: Field): InputSpec {
  for (const [kind, name] of [
    ["mask", "maskOf"],
    ["types", "typesOf"],
  ] as const) {
    if (!field.at(name).present) continue;
    const { [name]: of, dtype } = field.object([name, "dtype"]);
    return { kind, at: field, of: of.text(), dtype: dtype.present ? parseType(dtype, "int64") : undefined };
  }
  if (field.at("stateOf").present) return parseState(field);
  return field.at("value").present ? parseConstant(field) : parseFile(field);
}

export function parseState(field: Field): CarriedSpec {
  const { stateOf, dims, initial, dtype } = field.object(["stateOf", "dims", "initial", "dtype"]);
  const shape = dims.list().map((dim) => (dim.value === "N" ? null : dim.integer(0)));
  if (shape.filter((dim) => dim === null).length > 1) dims.fail('"N" once at most');
  const values = initial.present ? initial.oneOrMore().map((entry) => entry.number()) : [0];
  const elements = shape.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  if (Array.isArray(initial.value) && values.length !== elements) initial.fail(`${elements} elements`);
  return {
    kind: "state",
    at: field,
    output: stateOf.text(),
    dims: shape,
    initial: values,
    dtype: parseType(dtype, "float32"),
  };
}

function parseConstant(field: Field): ConstantSpec {
  const fields = field.object(["value", "dims", "dtype"]);
  const values = fields.value.oneOrMore().map((entry) => entry.number());
  const isList = Array.isArray(fields.value.value);
  const dims = fields.dims.present ? fields.dims.list().map((dim) => dim.integer(1)) : isList ? [values.length] : [];
  const elements = dims.reduce((product, dim) => product * dim, 1);
  if (isList && values.length !== elements) fields.value.fail(`${elements} elements for dims [${dims.join(", ")}]`);
  return { kind: "constant", at: field, values, dims, dtype: parseType(fields.dtype, "float32") };
}

function parseLabels(field: Field): LabelSpec {
  if (field.at("nextOf").present) {
    return { kind: "next", at: field, of: field.object(["nextOf"]).nextOf.text() };
  }
  const { file, field: member, offset } = field.object(["file", "field", "offset"]);
  return {
    kind: "classes",
    at: field,
    references: file.oneOrMore().map((entry) => entry.text()),
    field: member.present ? parseColumn(member) : "label",
    offset: offset.present ? offset.integer(-(2 ** 31), 2 ** 31) : 0,
  };
}
