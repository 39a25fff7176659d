// Case K of a seed: which files it puts into a folder. Even cases are about models, odd ones about data sets, but every tenth is about saved analyses;
// case -1 - B is base B undamaged.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ops } from "../../dist/index.js";
import { root } from "../paths.mjs";
import { analysisOf } from "./base-analysis.mjs";
import { baseDatasets } from "./base-datasets.mjs";
import { arithmeticModel, attentionModel, residualModel } from "./base-models.mjs";
import { Choices } from "./choices.mjs";
import { mutateBytes } from "./mutate-bytes.mjs";
import { changeDocument, mutateDataset } from "./mutate-dataset.mjs";
import { mutateModel } from "./mutate-model.mjs";
import { opModels } from "./op-models.mjs";

/** @typedef {import("../../dist/index.js").Backend} Backend */

/**
 * @typedef {object} Case
 * @property {"model" | "data set" | "analysis"} kind
 * @property {string} what the base and what was done to it
 * @property {boolean} damaged
 * @property {Choices} random for choices of the run
 * @property {Record<string, Uint8Array | null>} files model.onnx; dataset.json with its files but for models; analysis.json for analyses; null is a
 *   folder
 */

/** Makes the cases of any seed. */
export class Cases {
  #models;
  #opModels;
  #datasets = baseDatasets();
  #analyses;

  /**
   * @param {Backend} backend its op table says what models there are
   * @param {string[]} paths further models
   */
  static async create(backend, paths) {
    const analyses = [];
    for (const { name, ...dataset } of baseDatasets()) {
      const folder = mkdtempSync(join(tmpdir(), "base-"));
      const files = filesOf(dataset);
      writeCase({ files }, folder);
      const analysis = await analysisOf(backend, join(folder, "model.onnx"), join(folder, "dataset.json"));
      rmSync(folder, { recursive: true });
      analyses.push({ name: `analysis of ${name}`, files, analysis: JSON.parse(JSON.stringify(analysis)) });
    }
    return new Cases(backend, paths, analyses);
  }

  constructor(backend, paths, analyses) {
    this.#analyses = analyses;
    this.#models = [
      ["shapes", readFileSync(join(root, "examples", "shapes", "shapes.onnx"))],
      ["residual", residualModel()],
      ["arithmetic", arithmeticModel()],
      ["attention", attentionModel()],
      ...paths.map((path) => [basename(path), readFileSync(path)]),
    ];
    this.#opModels = ops(backend).flatMap((row) => opModels(row).map((model, i) => [`${row.type} sample ${i}`, model]));
  }

  /**
   * @param {number} seed
   * @param {number} index
   * @returns {Case}
   */
  make(seed, index) {
    const random = new Choices(seed, index);
    if (index < 0) return this.#undamaged(-1 - index, random);
    if (index % 10 === 9) return this.#analysisCase(random, 1 + random.below(3));
    return index % 2 === 0 ? this.#modelCase(random) : this.#datasetCase(random);
  }

  /** How many bases there are. */
  get bases() {
    return this.#models.length + this.#datasets.length + this.#analyses.length;
  }

  /** @type {(base: number, random: Choices) => Case} */
  #undamaged(base, random) {
    if (base < this.#models.length) {
      const [name, model] = this.#models[base];
      return { kind: "model", what: name, damaged: false, random, files: { "model.onnx": model } };
    }
    const dataset = this.#datasets[base - this.#models.length];
    if (dataset === undefined) return this.#analysisCase(random, 0, base - this.#models.length - this.#datasets.length);
    return { kind: "data set", what: dataset.name, damaged: false, random, files: filesOf(dataset) };
  }

  /** @type {(random: Choices) => Case} */
  #modelCase(random) {
    const [name, model] = random.pick(random.chance(0.5) ? this.#models : this.#opModels);
    const { bytes, what } = random.chance(0.25) ? mutateBytes(random, model) : mutateModel(random, model);
    return { kind: "model", what: `${name}: ${what}`, damaged: true, random, files: { "model.onnx": bytes } };
  }

  /** @type {(random: Choices) => Case} */
  #datasetCase(random) {
    const base = random.pick(this.#datasets);
    const { files, what } = mutateDataset(random, base);
    const all = { ...files, "model.onnx": base.model };
    return { kind: "data set", what: `${base.name}: ${what}`, damaged: true, random, files: all };
  }

  /** @type {(random: Choices, changes: number, base?: number) => Case} */
  #analysisCase(random, changes, base = random.below(this.#analyses.length)) {
    const { name, files, analysis } = this.#analyses[base];
    const document = structuredClone(analysis);
    const what = Array.from({ length: changes }, () => changeDocument(random, document));
    const all = { ...files, "analysis.json": encodeJson(document) };
    return { kind: "analysis", what: `${name}: ${what.join("; ")}`, damaged: changes > 0, random, files: all };
  }
}

/** @type {(document: unknown) => Uint8Array} */
function encodeJson(document) {
  return new TextEncoder().encode(JSON.stringify(document));
}

/** An undamaged data set with its model. @type {(base: Omit<import("./base-datasets.mjs").BaseDataset, "name">) => Case["files"]} */
function filesOf({ model, manifest, files }) {
  return { ...files, "dataset.json": encodeJson(manifest), "model.onnx": model };
}

/**
 * @param {Pick<Case, "files">} testCase
 * @param {string} folder
 */
export function writeCase({ files }, folder) {
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(bytes === null ? path : dirname(path), { recursive: true });
    if (bytes !== null) writeFileSync(path, bytes);
  }
}
