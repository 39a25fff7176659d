// Case K of a seed: which files it puts into a folder. Even cases are about models, odd ones about data sets; case -1 - B is base B undamaged.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ops } from "../../dist/index.js";
import { root } from "../paths.mjs";
import { baseDatasets } from "./base-datasets.mjs";
import { arithmeticModel, attentionModel, residualModel } from "./base-models.mjs";
import { Choices } from "./choices.mjs";
import { mutateBytes } from "./mutate-bytes.mjs";
import { mutateDataset } from "./mutate-dataset.mjs";
import { mutateModel } from "./mutate-model.mjs";
import { opModels } from "./op-models.mjs";

/** @typedef {import("../../dist/index.js").Backend} Backend */

/**
 * @typedef {object} Case
 * @property {"model" | "data set"} kind
 * @property {string} what the base and what was done to it
 * @property {boolean} damaged
 * @property {Choices} random for choices of the run
 * @property {Record<string, Uint8Array | null>} files model.onnx, and dataset.json with its files for data sets; null is a folder
 */

/** Makes the cases of any seed. */
export class Cases {
  #models;
  #opModels;
  #datasets = baseDatasets();

  /**
   * @param {Backend} backend its op table says what models there are
   * @param {string[]} paths further models
   */
  constructor(backend, paths) {
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
    return index % 2 === 0 ? this.#modelCase(random) : this.#datasetCase(random);
  }

  /** How many bases there are. */
  get bases() {
    return this.#models.length + this.#datasets.length;
  }

  /** @type {(base: number, random: Choices) => Case} */
  #undamaged(base, random) {
    if (base < this.#models.length) {
      const [name, model] = this.#models[base];
      return { kind: "model", what: name, damaged: false, random, files: { "model.onnx": model } };
    }
    const { name, model, manifest, files } = this.#datasets[base - this.#models.length];
    const document = new TextEncoder().encode(JSON.stringify(manifest));
    const all = { ...files, "dataset.json": document, "model.onnx": model };
    return { kind: "data set", what: name, damaged: false, random, files: all };
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
}

/**
 * @param {Case} testCase
 * @param {string} folder
 */
export function writeCase({ files }, folder) {
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(bytes === null ? path : dirname(path), { recursive: true });
    if (bytes !== null) writeFileSync(path, bytes);
  }
}
