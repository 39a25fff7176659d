import { BitwrightError } from "../errors.js";
import { elementCount } from "../tensor.js";
import { openArray } from "./array-source.js";
import { isFloat } from "./convert.js";
import type { Files } from "./files.js";
import { type ImageDecoder, openImages } from "./images.js";
import { type InputReader, sameShape, stackSamples, stackSequences } from "./input.js";
import { readIntegers } from "./integers.js";
import { moveDims } from "./layout.js";
import type { FileSpec, SequenceSpec } from "./parse-file.js";
import { preprocessor } from "./preprocess.js";
import { concatenate, type SampleSource } from "./source.js";
import { openSparse } from "./sparse.js";
import { openText } from "./text.js";
import { openTokenizer, type TextTokenizer } from "./tokenizer.js";
import { openTokens } from "./tokens.js";

/** Where a data set reads from. */
export interface Reading {
  readonly files: Files;
  readonly decodeImage: ImageDecoder;
}

/** An input whose samples have lengths of their own and are padded to a common one. */
export interface SequenceReader extends InputReader {
  readonly lengths: Int32Array;
  /** For texts, which of two each token is of. */
  readonly types: readonly Int32Array[] | undefined;
  /** Positions of a batch with sequences of these lengths. */
  width(lengths: readonly number[]): number;
}

export async function openFileInput(name: string, spec: FileSpec, reading: Reading): Promise<InputReader> {
  const tokenizer = spec.text && (await openTokenizer(reading.files, spec.text.tokenizer, spec.text));
  const sources = await Promise.all(
    spec.references.map((reference, i) => openSource(spec, reference, i, reading, tokenizer)),
  );
  const source = concatenate(sources, spec.at.document);
  return spec.sequence === undefined
    ? stackedInput(name, spec, source)
    : sequenceInput(name, spec, spec.sequence, source);
}

async function openSource(
  spec: FileSpec,
  reference: string,
  i: number,
  reading: Reading,
  tokenizer: TextTokenizer | undefined,
): Promise<SampleSource> {
  const { files, decodeImage } = reading;
  switch (spec.kind) {
    case "tokens":
      return openTokens(files, reference, String(spec.field ?? "ids"));
    case "text":
      return openText(files, reference, spec.field ?? "text", spec.text!, tokenizer!);
    case "images":
      return openImages(files, reference, String(spec.field ?? "file"), spec.geometry, decodeImage);
    case "array": {
      if (spec.sparse !== undefined) return openSparse(files, reference, spec.sparse);
      const rows = await openArray(files, reference, spec.layout?.source.indexOf("N") ?? 0);
      const lengths = spec.sequence?.lengths?.[i];
      return lengths === undefined ? rows : cutRows(rows, await readIntegers(files, lengths, "length"), lengths);
    }
  }
}

function stackedInput(name: string, spec: FileSpec, source: SampleSource): InputReader {
  const { dtype, layout } = spec;
  const batchAxis = layout?.target.indexOf("N") ?? 0;
  const preprocess = preprocessor(spec);
  return {
    name,
    dtype,
    batchAxis,
    dims: moveDims(layout, source.dims, source.where(0)).toSpliced(batchAxis, 0, null),
    size: source.size,
    async read(indices) {
      const samples = await source.read(indices);
      return samples.map(({ data, dims }, i) => preprocess(data, dims, source.where(indices[i]!)));
    },
    fits: sameShape,
    stack: (samples) => stackSamples(dtype, samples, batchAxis, name),
    contents: () => source.contents(),
  };
}

function sequenceInput(name: string, spec: FileSpec, sequence: SequenceSpec, source: SampleSource): SequenceReader {
  const { dtype } = spec;
  const { padTo } = sequence;
  const pad = sequence.pad ?? source.pad ?? 0;
  const lengths = source.lengths!;
  const longest = lengths.reduce((max, length) => Math.max(max, length), 0);
  const width = padTo === "dataset" ? longest : padTo === "batch" ? undefined : padTo;
  if (width !== undefined && width < longest) spec.at.at("padTo").fail(`at least ${longest}, the longest sequence`);
  if (!isFloat(dtype) && !Number.isInteger(pad)) spec.at.at("pad").fail(`an integer for ${dtype}`);
  const preprocess = preprocessor(spec);
  const widthOf = (present: readonly number[]) => width ?? Math.max(...present);
  return {
    name,
    dtype,
    batchAxis: 0,
    dims: [null, width ?? null, ...source.dims.slice(1)],
    size: source.size,
    lengths,
    types: source.types,
    unpadded: width === undefined ? lengths : undefined,
    width: widthOf,
    async read(indices) {
      const samples = await source.read(indices);
      return samples.map(({ data, dims }, i) => preprocess(data, dims, source.where(indices[i]!)));
    },
    fits: (a, b) => sameShape({ ...a, dims: a.dims.slice(1) }, { ...b, dims: b.dims.slice(1) }),
    stack: (samples) => stackSequences(dtype, samples, widthOf(samples.map(({ dims }) => dims[0]!)), pad, name),
    contents: () => source.contents(),
  };
}

/** Rows of which only the first `lengths[i]` positions are data. */
function cutRows(rows: SampleSource, lengths: Int32Array, where: string): SampleSource {
  const width = rows.dims[0];
  if (lengths.length !== rows.size || width === undefined || lengths.some((length) => length < 1 || length > width!)) {
    throw new BitwrightError("invalid-data", "the lengths do not fit the rows", {
      where,
      expected: width === undefined ? "rows with positions" : `${rows.size} lengths between 1 and ${width}`,
      received: `${lengths.length} lengths`,
    });
  }
  return {
    ...rows,
    lengths,
    read: async (indices) => {
      const samples = await rows.read(indices);
      return samples.map(({ data, dims }, i) => {
        const length = lengths[indices[i]!]!;
        return { data: data.subarray(0, length * elementCount(dims.slice(1))), dims: dims.with(0, length) };
      });
    },
  };
}
