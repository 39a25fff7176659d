import { BitwrightError } from "../errors.js";
import type { Dataset } from "./dataset.js";
import type { Field } from "./field.js";
import { type SplitName, splitNames } from "./manifest.js";

/** Sample indices of each split; no sample is in two. */
export type Splits = Readonly<Record<SplitName, Uint32Array>>;

/** What splits choose. */
export type Unit = "samples" | "sequences";

/** Validates the "splits" of a manifest. A split that is not named has no samples; without any, `defaultSplits` holds. */
export function parseSplits(field: Field, unit: Unit = "samples"): (size: number) => Splits {
  if (!field.present) return defaultSplits;
  const fields = field.object(splitNames);
  const selectors = splitNames.map((name) => (fields[name].present ? parseSelector(fields[name], unit) : () => []));
  return (size) => {
    const [calibration, search, verify] = selectors.map((select) => Uint32Array.from(select(size)));
    const splits = { calibration: calibration!, search: search!, verify: verify! };
    checkDisjoint(splits, size, field.document, unit);
    return splits;
  };
}

/** @throws BitwrightError `invalid-data` when one of the splits has no samples. */
export function requireSamples(splits: Splits, names: readonly SplitName[]): void {
  for (const name of names) {
    if (splits[name].length > 0) continue;
    throw new BitwrightError("invalid-data", `the ${name} split is empty`, {
      where: `splits.${name}`,
      expected: "at least one sample",
    });
  }
}

/** So many samples of a split at most: its first, or steps spread evenly over its sequences, since those that follow one another are alike. */
export function someSamples(
  { splits, sequences }: Pick<Dataset, "splits" | "sequences">,
  split: SplitName,
  count: number,
): Uint32Array {
  const all = splits[split];
  if (sequences === undefined || all.length <= count) return all.slice(0, count);
  return Uint32Array.from({ length: count }, (_, i) => all[Math.floor(((i + 0.5) * all.length) / count)]!);
}

type Selector = (size: number) => ArrayLike<number>;

function parseSelector(field: Field, unit: Unit): Selector {
  if (Array.isArray(field.value)) {
    const [first, end] = parseRange(field);
    return (size) => periodic(first, checkEnd(field, end, size, unit), 1, [0]);
  }
  if (field.at("indices").present) {
    const entries = field.object(["indices"]).indices.list();
    return (size) => entries.map((entry) => entry.integer(0, size - 1));
  }
  const { every, at, range } = field.object(["every", "at", "range"]);
  const period = every.integer(1);
  const residues = at.present ? at.oneOrMore().map((entry) => entry.integer(0, period - 1)) : [0];
  const [first, end] = range.present ? parseRange(range) : [0, undefined];
  return (size) => periodic(first, end === undefined ? size : checkEnd(range, end, size, unit), period, residues);
}

function parseRange(field: Field): [number, number] {
  const [first, end, ...rest] = field.list();
  if (first === undefined || end === undefined || rest.length > 0) {
    field.fail("[first, end)", 'For a list of samples write {"indices": [..]}.');
  }
  return [first.integer(0), end.integer(first.integer(0))];
}

function checkEnd(field: Field, end: number, size: number, unit: Unit): number {
  return end <= size ? end : field.fail(`a range inside the ${size} ${unit} of the data set`);
}

function periodic(first: number, end: number, period: number, residues: readonly number[]): number[] {
  const indices: number[] = [];
  for (let i = first; i < end; i++) {
    if (residues.includes((i - first) % period)) indices.push(i);
  }
  return indices;
}

function checkDisjoint(splits: Splits, size: number, document: string, unit: Unit): void {
  const one = unit.slice(0, -1);
  const owners = new Array<SplitName | undefined>(size);
  for (const name of splitNames) {
    for (const index of splits[name]) {
      const owner = owners[index];
      if (owner !== undefined) {
        throw new BitwrightError("invalid-data", `a ${one} is used twice`, {
          where: `${document}, splits`,
          expected: `splits that share no ${one}`,
          received: owner === name ? `${one} ${index} twice in ${name}` : `${one} ${index} in ${owner} and ${name}`,
          remedy: "A model that is verified on samples it was tuned on proves nothing.",
        });
      }
      owners[index] = name;
    }
  }
}

const maxDefaultCalibration = 512;

/**
 * The splits of data that names none: a fixed shuffle of the samples (files are often sorted by class), of which the first
 * fifth, 512 at most, is for calibration, the next three tenths for the search and the rest for verification.
 */
export function defaultSplits(size: number): Splits {
  const order = shuffled(size);
  const calibration = Math.min(Math.floor(size * 0.2), maxDefaultCalibration);
  const search = calibration + Math.floor(size * 0.3);
  return {
    calibration: order.slice(0, calibration).sort(),
    search: order.slice(calibration, search).sort(),
    verify: order.slice(search).sort(),
  };
}

/** Fisher-Yates with numbers from the 32-bit finalizer of MurmurHash3 over a counter: the same on every machine. */
function shuffled(size: number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor((mix(i) / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

function mix(counter: number): number {
  let h = Math.imul(counter, 0x9e3779b9);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
