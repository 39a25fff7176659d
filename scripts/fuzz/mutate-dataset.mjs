// Damage to data sets: to what a manifest says, to the files that it names, and to what those say.

import { npy } from "./base-datasets.mjs";
import { mutateBytes } from "./mutate-bytes.mjs";

/** @typedef {import("./choices.mjs").Choices} Choices */
/** @typedef {import("./base-datasets.mjs").BaseDataset} BaseDataset */

/**
 * A data set as a folder: bytes by file name; null stands for a folder of that name.
 * @typedef {Record<string, Uint8Array | null>} Folder
 */

/**
 * @param {Choices} random
 * @param {BaseDataset} base
 * @returns {{ files: Folder, what: string }}
 */
export function mutateDataset(random, { manifest, files }) {
  /** @type {Folder} */
  const folder = { ...files };
  const document = structuredClone(manifest);
  const what = [];
  for (let count = 1 + random.below(2); count > 0; count--) {
    what.push(
      random.pick([changeDocument, changeDocument, damageFile, exchangeFile, changeArray])(random, document, folder),
    );
  }
  folder["dataset.json"] = new TextEncoder().encode(JSON.stringify(document));
  if (random.chance(0.15)) {
    const damaged = random.chance(0.2) ? nested(random) : mutateBytes(random, folder["dataset.json"]);
    folder["dataset.json"] = damaged.bytes;
    what.push(`dataset.json: ${damaged.what}`);
  }
  return { files: folder, what: what.join("; ") };
}

/** Brackets deeper than any call stack. @type {(random: Choices) => { bytes: Uint8Array, what: string }} */
function nested(random) {
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"inputs":', "}"],
  ]);
  const depth = random.pick([100, 20000, 500000]);
  return { bytes: Buffer.from(`${open.repeat(depth)}0${close.repeat(depth)}`), what: `${depth} times ${open}` };
}

const names = [
  "",
  ".",
  "..",
  "/",
  "/dev/null",
  "/dev/zero",
  "../../../etc/passwd",
  "missing.npy",
  "data.npz",
  "data.npz#",
  "a\0b.npy",
];
const words = [
  "NHWC>NCHW",
  "NCHW>NHWC",
  "N",
  "CN",
  "GRAY",
  "BGR",
  "top5",
  "kl",
  "perplexity",
  "psnr",
  "int64",
  "bool",
  "uint8",
  "batch",
  "dataset",
];
const values = [
  null,
  true,
  false,
  -1,
  0,
  1,
  2,
  3,
  0.5,
  1e9,
  1e308,
  2 ** 31,
  2 ** 53,
  [],
  {},
  [[]],
  [0],
  [1, 0],
  [0, 12],
  [0, 1e9],
  [-1, 3],
];

/** Replaces, removes, renames or adds one thing of a document. @type {(random: Choices, document: object) => string} */
export function changeDocument(random, document) {
  const places = [...placesIn(document)];
  const { parent, key, path } = random.pick(places);
  const value = random.pick([
    random.pick(values),
    random.pick(names),
    random.pick(words),
    structuredClone(random.pick(places).parent),
  ]);
  switch (random.below(6)) {
    case 0:
      delete parent[key];
      return `no ${path}`;
    case 1: {
      const other = random.pick([
        "__proto__",
        "file",
        "pad",
        "padTo",
        "lengths",
        "mean",
        "std",
        "layout",
        "dtype",
        "resize",
        "maskOf",
        "value",
      ]);
      Object.defineProperty(parent, other, { value, enumerable: true, configurable: true, writable: true });
      return `${path} beside ${other} ${JSON.stringify(value)}`;
    }
    case 2:
      parent[key] = [parent[key], value];
      return `${path} and ${JSON.stringify(value)}`;
    default:
      parent[key] = value;
      return `${path} ${JSON.stringify(value)}`;
  }
}

/** Every member of a document. */
function* placesIn(parent, path = "") {
  for (const key of Object.keys(parent)) {
    yield { parent, key, path: `${path}/${key}` };
    if (typeof parent[key] === "object" && parent[key] !== null) yield* placesIn(parent[key], `${path}/${key}`);
  }
}

/** @type {(random: Choices, document: object, folder: Folder) => string} */
function damageFile(random, _document, folder) {
  const name = random.pick(Object.keys(folder));
  if (name === undefined) return "no file left";
  const { bytes, what } = mutateBytes(random, folder[name] ?? new Uint8Array(0));
  folder[name] = bytes;
  return `${name}: ${what}`;
}

/** @type {(random: Choices, document: object, folder: Folder) => string} */
function exchangeFile(random, _document, folder) {
  const [name, other] = [random.pick(Object.keys(folder)), random.pick(Object.keys(folder))];
  if (name === undefined) return "no file left";
  switch (random.below(4)) {
    case 0:
      delete folder[name];
      return `no ${name}`;
    case 1:
      folder[name] = null;
      return `${name} is a folder`;
    case 2:
      folder[name] = new TextEncoder().encode(
        random.pick(["", "0", "[]", "{}", "null", "\ufeff[]", '{"label": 1e99}', '[{"ids": []}]']),
      );
      return `${name}: ${JSON.stringify(new TextDecoder().decode(folder[name]))}`;
    default:
      folder[name] = folder[other];
      return `${name} is ${other}`;
  }
}

const shapes = [
  [],
  [0],
  [12],
  [12, 0],
  [1],
  [24, 16, 32, 3],
  [12, 32, 32],
  [6, 2, 32, 32, 3],
  [2 ** 31],
  [2 ** 53],
  [99999999, 99999999],
  [13],
];

/** Another header over the data, or data of another kind, in place of an array. @type {(random: Choices, document: object, folder: Folder) => string} */
function changeArray(random, _document, folder) {
  const arrays = Object.keys(folder).filter((name) => name.endsWith(".npy"));
  if (arrays.length === 0) return changeText(random, folder);
  const name = random.pick(arrays);
  const descr = random.pick(["|u1", "|i1", "|b1", "<i4", "<i8", "<u8", "<f2", "<f4", "<f8", ">f4", "<c8", "|O", "<U4"]);
  const dims = random.pick([...shapes, [12, 32, 32, 3], [12, 32, 32, 3]]);
  const data = new Uint8Array(12 * 32 * 32 * 3 * (random.chance(0.7) ? Number(descr[2]) || 1 : 1));
  data.fill(random.pick([0, 1, 127, 128, 255]));
  folder[name] = npy(descr, dims, data);
  return `${name}: ${descr} [${dims}] filled with ${data[0]}`;
}

const lines = [
  "-1",
  "10",
  "99999999999",
  "1.5",
  "x",
  "",
  "{}",
  '{"ids": [50]}',
  '{"ids": [-1], "label": 0}',
  '{"ids": [1e99], "label": "a"}',
  '{"path": 3}',
];

/** One line more, or in place of another. @type {(random: Choices, folder: Folder) => string} */
function changeText(random, folder) {
  const files = Object.keys(folder).filter((name) => /\.(txt|jsonl|json)$/.test(name) && folder[name] !== null);
  if (files.length === 0) return damageFile(random, {}, folder);
  const name = random.pick(files);
  const text = new TextDecoder().decode(folder[name] ?? new Uint8Array(0)).split("\n");
  const line = random.pick(lines);
  const at = random.below(text.length);
  text.splice(at, random.below(2), line);
  folder[name] = new TextEncoder().encode(text.join("\n"));
  return `${name}: line ${at} ${line}`;
}
