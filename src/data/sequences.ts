import { BitwrightError } from "../errors.js";
import type { Field } from "./field.js";
import type { Files } from "./files.js";
import { readIntegers } from "./integers.js";
import type { Splits } from "./splits.js";

/**
 * Samples that are steps of sequences: the steps of one lie next to each other, in order. Steps depend on those before them, so splits hold whole
 * sequences and statistics count sequences, not steps.
 */
export interface Sequences {
  readonly count: number;
  /** The sequence of each sample, numbered from 0 in their order. */
  readonly of: Int32Array;
  /** Where each sequence starts; one more for the number of samples. */
  readonly starts: Int32Array;
}

/** Reads the "sequences" of a manifest. */
export type SequencesReader = (size: number, files: Files) => Promise<Sequences>;

export function parseSequences(field: Field): SequencesReader {
  const where = `${field.document}, ${field.path}`;
  const { file, lengths, length } = field.object(["file", "lengths", "length"]);
  const given = [file, lengths, length].filter(({ present }) => present);
  if (given.length !== 1) field.fail('one of "file", "lengths" and "length"');
  if (length.present) {
    const steps = length.integer(1);
    return async (size) => sequencesOfLengths(cut(size, steps), size, where);
  }
  if (lengths.present && Array.isArray(lengths.value)) {
    const list = lengths.list().map((entry) => entry.integer(1));
    return async (size) => sequencesOfLengths(list, size, where);
  }
  if (lengths.present) {
    const reference = lengths.text();
    return async (size, files) =>
      sequencesOfLengths([...(await readIntegers(files, reference, "length"))], size, where);
  }
  const reference = file.text();
  return async (size, files) => sequencesOfIds(await readIntegers(files, reference, "sequence"), size, where);
}

function cut(size: number, steps: number): number[] {
  const lengths = new Array<number>(Math.floor(size / steps)).fill(steps);
  return size % steps === 0 ? lengths : [...lengths, size % steps];
}

/** Samples next to each other that have the same id are one sequence. */
export function sequencesOfIds(ids: ArrayLike<number>, size: number, where: string): Sequences {
  if (ids.length !== size) mismatch(where, `${size} ids, one for each sample`, `${ids.length} ids`);
  const lengths: number[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < size; i++) {
    const id = ids[i]!;
    if (i > 0 && id === ids[i - 1]) {
      lengths[lengths.length - 1]!++;
      continue;
    }
    if (seen.has(id)) mismatch(where, "the steps of a sequence next to each other", `id ${id} again at sample ${i}`);
    seen.add(id);
    lengths.push(1);
  }
  return sequencesOfLengths(lengths, size, where);
}

export function sequencesOfLengths(lengths: readonly number[], size: number, where: string): Sequences {
  const of = new Int32Array(size);
  const starts = new Int32Array(lengths.length + 1);
  for (const [sequence, length] of lengths.entries()) {
    if (length < 1) mismatch(where, "sequences of one step or more", `length ${length} of sequence ${sequence}`);
    starts[sequence + 1] = starts[sequence]! + length;
    of.fill(sequence, starts[sequence], starts[sequence + 1]);
  }
  if (starts.at(-1) !== size) mismatch(where, `${size} steps in all, one for each sample`, `${starts.at(-1)} steps`);
  return { count: lengths.length, of, starts };
}

function mismatch(where: string, expected: string, received: string): never {
  throw new BitwrightError("invalid-data", "the sequences do not fit the samples", { where, expected, received });
}

/** The samples of splits that name sequences. */
export function stepsOf(splits: Splits, { starts }: Sequences): Splits {
  const steps = (chosen: Uint32Array) =>
    Uint32Array.from(
      [...chosen].flatMap((s) => Array.from({ length: starts[s + 1]! - starts[s]! }, (_, t) => starts[s]! + t)),
    );
  return { calibration: steps(splits.calibration), search: steps(splits.search), verify: steps(splits.verify) };
}
