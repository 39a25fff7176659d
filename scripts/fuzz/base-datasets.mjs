// The data sets that are damaged: one for each kind of file that a manifest can name.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { zipSync } from "fflate";
import { generate } from "../../examples/shapes/dataset.mjs";
import { root } from "../paths.mjs";
import { attentionModel, residualModel } from "./base-models.mjs";

/**
 * A model with a manifest and the files beside it.
 * @typedef {object} BaseDataset
 * @property {string} name
 * @property {Uint8Array} model
 * @property {Record<string, unknown>} manifest
 * @property {Record<string, Uint8Array>} files
 */

const samples = 12;
const splits = { calibration: [0, 4], search: [4, 8], verify: [8, samples] };
const classes = Array.from({ length: samples }, (_, i) => i % 10);
/** @type {(text: string) => Uint8Array} */
const encoded = (text) => new TextEncoder().encode(text);
/** @type {(lines: unknown[]) => Uint8Array} */
const jsonLines = (lines) => encoded(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));

/** @returns {BaseDataset[]} */
export function baseDatasets() {
  return [arrays(), archive(), pictures(), tokens()];
}

/** The example's pictures as .npy arrays. */
function arrays() {
  const { images, labels } = generate(1, samples);
  return {
    name: "arrays",
    model: readFileSync(join(root, "examples", "shapes", "shapes.onnx")),
    manifest: {
      inputs: {
        input: {
          file: "images.npy",
          layout: "NHWC>NCHW",
          scale: 1 / 255,
          mean: [0.5, 0.5, 0.5],
          std: [0.25, 0.25, 0.25],
        },
      },
      labels: { file: "labels.npy" },
      metric: "top1",
      splits,
    },
    files: { "images.npy": npy("|u1", [samples, 32, 32, 3], images), "labels.npy": npy("|u1", [samples], labels) },
  };
}

/** Floats in a .npz archive, without labels. */
function archive() {
  const values = Float32Array.from({ length: samples * 3 * 12 * 12 }, (_, i) => Math.sin(i));
  const member = npy("<f4", [samples, 3, 12, 12], new Uint8Array(values.buffer));
  return {
    name: "archive",
    model: residualModel(),
    manifest: {
      inputs: { image: { file: "data.npz#images", layout: "NCHW", channels: "BGR" } },
      metric: { name: "agreement" },
      splits: { calibration: { every: 3, at: 0 }, search: { every: 3, at: 1 }, verify: { indices: [2, 5] } },
    },
    files: { "data.npz": zipSync({ "images.npy": member, "more.npy": npy("<i4", [1], new Uint8Array(4)) }) },
  };
}

/** A list of pictures with labels in a text file. */
function pictures() {
  const names = classes.map((_, i) => `p${i}.png`);
  const files = names.map((name, i) => [name, png(14, 14, (byte) => (byte * (i + 3)) & 255)]);
  return {
    name: "pictures",
    model: residualModel(),
    manifest: {
      inputs: { image: { file: "list.json", field: "path", resize: 13, crop: 12, scale: 0.01, filter: "bicubic" } },
      labels: { file: "labels.txt", offset: 1 },
      metric: "accuracy",
      splits,
    },
    files: {
      ...Object.fromEntries(files),
      "list.json": encoded(JSON.stringify(names.map((path) => ({ path })))),
      "labels.txt": encoded(classes.map((label) => `${label % 9}\n`).join("")),
    },
  };
}

/** Token ids of different lengths with a mask. */
function tokens() {
  const rows = classes.map((label, i) => ({
    ids: Array.from({ length: 1 + (i % 6) }, (_, t) => (7 * i + t) % 50),
    label,
  }));
  return {
    name: "tokens",
    model: attentionModel(),
    manifest: {
      inputs: { input_ids: { file: "text.jsonl", pad: 0, padTo: 6 }, attention_mask: { maskOf: "input_ids" } },
      labels: { file: "text.jsonl", field: "label" },
      metric: { name: "f1", average: "macro" },
      splits,
    },
    files: { "text.jsonl": jsonLines(rows) },
  };
}

/**
 * A NumPy file, version 1.0.
 * @param {string} descr
 * @param {number[]} dims
 * @param {Uint8Array} data
 */
export function npy(descr, dims, data) {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims.join(", ")}${dims.length === 1 ? "," : ""}), }\n`;
  const prefix = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  return Buffer.concat([prefix, Buffer.from(header, "latin1"), data]);
}

/**
 * An RGB picture in PNG.
 * @param {number} width
 * @param {number} height
 * @param {(byte: number) => number} value
 */
function png(width, height, value) {
  const row = 1 + 3 * width;
  const pixels = Uint8Array.from({ length: row * height }, (_, i) => (i % row === 0 ? 0 : value(i)));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const chunks = [chunk("IHDR", header), chunk("IDAT", deflateSync(pixels)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), ...chunks]);
}

/** @type {(type: string, data: Uint8Array) => Buffer} */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}
