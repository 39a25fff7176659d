import type { DataType } from "../tensor.js";
import { dataTypes, isFloat } from "./convert.js";
import type { Field } from "./field.js";
import { type ImageGeometry, imageFilters } from "./images.js";
import { parseLayout } from "./layout.js";
import type { FileInput } from "./manifest.js";
import type { Preprocessing } from "./preprocess.js";
import type { SparseSpec } from "./sparse.js";
import type { Column } from "./table.js";
import type { EncodeOptions } from "./tokenizer.js";

/** What a file holds, as its name tells. */
export type FileKind = "array" | "tokens" | "text" | "images";

/** A validated `FileInput`. */
export interface FileSpec extends Preprocessing {
  readonly kind: FileKind;
  /** The field of the manifest, for messages. */
  readonly at: Field;
  readonly references: readonly string[];
  readonly field: Column | undefined;
  /** Given for texts. */
  readonly text: TextSpec | undefined;
  readonly geometry: ImageGeometry;
  /** Given for arrays of places in a matrix. */
  readonly sparse: SparseSpec | undefined;
  /** Given for samples of different lengths, which are padded. */
  readonly sequence: SequenceSpec | undefined;
}

export interface TextSpec extends EncodeOptions {
  readonly tokenizer: string;
  readonly pair: Column | undefined;
}

export interface SequenceSpec {
  /** Files with the length of each row of an array; undefined where the file's own sequences have lengths. */
  readonly lengths: readonly string[] | undefined;
  /** undefined for what the file's own source says. */
  readonly pad: number | undefined;
  readonly padTo: "dataset" | "batch" | number;
}

type FieldName = keyof FileInput;

const arithmetic = ["layout", "channels", "scale", "mean", "std"] as const;

const fieldsOf = {
  array: ["file", "dtype", ...arithmetic, "sparse", "lengths", "pad", "padTo"],
  tokens: ["file", "dtype", "field", "pad", "padTo"],
  text: ["file", "dtype", "field", "tokenizer", "pair", "maxLength", "specialTokens", "pad", "padTo"],
  images: ["file", "dtype", "field", ...arithmetic, "resize", "crop", "filter"],
} as const satisfies Record<FileKind, readonly FieldName[]>;

const allFields: readonly FieldName[] = [...new Set(Object.values(fieldsOf).flat())];

const imageLayout = { source: "NHWC", target: "NCHW" };

export function parseFile(field: Field): FileSpec {
  const file = field.at("file");
  const references = file.oneOrMore().map((entry) => entry.text());
  const isText = field.at("tokenizer").present;
  const kind = fileKind(references[0]!, isText);
  if (references.some((reference) => fileKind(reference, isText) !== kind)) file.fail("files of one kind");
  if (isText && !references.every((reference) => /\.(txt|tsv|jsonl)$/i.test(reference))) {
    file.fail(".txt, .tsv or .jsonl files of texts, beside a tokenizer");
  }
  const f = field.object<FieldName>(allFields, fieldsOf[kind]);

  const dtype = parseType(f.dtype, kind === "tokens" || kind === "text" ? "int64" : "float32");
  for (const name of ["scale", "mean", "std"] as const) {
    if (f[name].present && !isFloat(dtype)) f[name].fail(`no such field for an input of type ${dtype}`);
  }
  const layout = f.layout.present ? parseLayout(f.layout) : kind === "images" ? imageLayout : undefined;
  if (kind === "images" && layout?.source !== imageLayout.source) f.layout.fail('a layout that begins with "NHWC"');
  const channels = f.channels.present ? f.channels.choice(["RGB", "BGR", "GRAY"]) : "RGB";
  if (channels === "GRAY" && kind !== "images") f.channels.fail('"RGB" or "BGR" for an array');
  if (channels === "BGR" && !layout?.target.includes("C")) f.layout.fail("a layout that names the channel axis C");

  return {
    kind,
    at: field,
    references,
    field: f.field.present ? parseColumn(f.field) : undefined,
    text: isText ? parseText(f) : undefined,
    layout,
    reverseChannels: channels === "BGR",
    scale: parseNumbers(f.scale, 1),
    mean: parseNumbers(f.mean, 0),
    std: parseNumbers(f.std, 1).map((std) => (std === 0 ? f.std.fail("numbers other than 0") : std)),
    dtype,
    geometry: {
      resize: f.resize.present ? parseSize(f.resize) : undefined,
      crop: f.crop.present ? square(parseSize(f.crop)) : undefined,
      filter: f.filter.present ? f.filter.choice(imageFilters) : "bilinear",
      gray: channels === "GRAY",
    },
    sparse: f.sparse.present ? parseSparse(f.sparse, f.lengths) : undefined,
    sequence: parseSequence(f, kind, references.length),
  };
}

export function parseType(field: Field, fallback: DataType): DataType {
  return field.present ? field.choice(dataTypes) : fallback;
}

/** A member or a heading by its name, or a column by its number. */
export function parseColumn(field: Field): Column {
  return typeof field.value === "number" ? field.integer(0) : field.text();
}

function parseText(f: Record<FieldName, Field>): TextSpec {
  return {
    tokenizer: f.tokenizer.text(),
    pair: f.pair.present ? parseColumn(f.pair) : undefined,
    maxLength: f.maxLength.present ? f.maxLength.integer(1) : undefined,
    special: !f.specialTokens.present || f.specialTokens.boolean(),
  };
}

function fileKind(reference: string, isText: boolean): FileKind {
  if (isText) return "text";
  if (/\.npy$|\.npz(#.+)?$/i.test(reference)) return "array";
  return /\.jsonl$/i.test(reference) ? "tokens" : "images";
}

function parseSparse(field: Field, lengths: Field): SparseSpec {
  if (lengths.present) lengths.fail("no lengths for a sparse matrix, whose rows are equally long");
  const { rows, columns, normalize } = field.object(["rows", "columns", "normalize"]);
  const spec = {
    rows: rows.integer(1, maxRows),
    columns: columns.integer(1, maxRows),
    normalize: normalize.present ? normalize.choice(["row", "symmetric"]) : undefined,
  };
  if (spec.normalize === "symmetric" && spec.rows !== spec.columns) normalize.fail("as many columns as rows");
  return spec;
}

const maxRows = 2 ** 31 - 1;

function parseSequence(f: Record<FieldName, Field>, kind: FileKind, fileCount: number): SequenceSpec | undefined {
  if (kind !== "tokens" && kind !== "text" && !f.lengths.present) {
    for (const name of ["pad", "padTo"] as const) {
      if (f[name].present) f[name].fail('no such field without "lengths"');
    }
    return undefined;
  }
  if (f.layout.present) f.layout.fail("no layout for sequences, whose axes are samples and then positions");
  const lengths = f.lengths.present ? f.lengths.oneOrMore().map((entry) => entry.text()) : undefined;
  if (lengths !== undefined && lengths.length !== fileCount) f.lengths.fail(`${fileCount} files, one for each "file"`);
  const padTo = !f.padTo.present
    ? "dataset"
    : typeof f.padTo.value === "number"
      ? f.padTo.integer(1)
      : f.padTo.choice(["dataset", "batch"]);
  return { lengths, pad: f.pad.present ? f.pad.number() : undefined, padTo };
}

function parseNumbers(field: Field, fallback: number): number[] {
  return field.present ? field.oneOrMore().map((entry) => entry.number()) : [fallback];
}

const maxSide = 2 ** 15;

function parseSize(field: Field): number | [number, number] {
  if (!Array.isArray(field.value)) return field.integer(1, maxSide);
  const [height, width, ...rest] = field.list();
  if (height === undefined || width === undefined || rest.length > 0) field.fail("one number, or [height, width]");
  return [height.integer(1, maxSide), width.integer(1, maxSide)];
}

function square(size: number | [number, number]): readonly [number, number] {
  return typeof size === "number" ? [size, size] : size;
}
