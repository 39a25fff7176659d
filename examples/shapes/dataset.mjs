// The data set of the example as files: pictures and labels in NumPy's format, and the manifest that describes them.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { figures } from "./figures.mjs";
import { bytesPerImage, render, size } from "./render.mjs";

/** Seed of the evaluation pictures; the network is trained on those of another seed. */
export const evaluationSeed = 1;
/** Number of evaluation pictures. */
export const evaluationCount = 3072;

/**
 * Pictures 0 to `count` - 1 of a seed. Classes follow each other in turn, so any stretch of the set is balanced.
 * @param {number} seed
 * @param {number} count
 * @returns {{ images: Uint8Array, labels: Uint8Array }} [count, 32, 32, 3] and [count]
 */
export function generate(seed, count) {
  const images = new Uint8Array(count * bytesPerImage);
  const labels = Uint8Array.from({ length: count }, (_, index) => index % figures.length);
  labels.forEach((label, index) => {
    images.set(render(seed, index, label), index * bytesPerImage);
  });
  return { images, labels };
}

/**
 * The manifest that tells bitwright how to read the files: a twelfth for calibration, a quarter for the search, the
 * rest for the final check.
 * @param {number} count
 */
function manifest(count) {
  const calibration = Math.floor(count / 12);
  const search = Math.floor(count / 3);
  return {
    inputs: {
      input: {
        file: "images_u8.npy",
        layout: "NHWC>NCHW",
        scale: 1 / 255,
        mean: [0.5, 0.5, 0.5],
        std: [0.25, 0.25, 0.25],
      },
    },
    labels: { file: "labels_u8.npy" },
    metric: "top1",
    splits: { calibration: [0, calibration], search: [calibration, search], verify: [search, count] },
  };
}

/**
 * A NumPy file, version 1.0: magic, header padded so that the data starts at a multiple of 64 bytes, data in C order.
 * @param {Uint8Array} data
 * @param {number[]} dims
 * @returns {Buffer}
 */
function npy(data, dims) {
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(", ")})`;
  const fields = `{'descr': '|u1', 'fortran_order': False, 'shape': ${shape}, }`;
  const prefixBytes = 10;
  const headerBytes = Math.ceil((prefixBytes + fields.length + 1) / 64) * 64 - prefixBytes;
  const prefix = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, headerBytes & 255, headerBytes >> 8]);
  return Buffer.concat([prefix, Buffer.from(`${fields.padEnd(headerBytes - 1)}\n`, "latin1"), data]);
}

/**
 * Generates a data set and writes it.
 * @param {string} folder made if it is missing
 * @param {{ seed?: number, count?: number }} [options]
 */
export function writeDataset(folder, { seed = evaluationSeed, count = evaluationCount } = {}) {
  const { images, labels } = generate(seed, count);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "images_u8.npy"), npy(images, [count, size, size, 3]));
  writeFileSync(join(folder, "labels_u8.npy"), npy(labels, [count]));
  writeFileSync(join(folder, "dataset.json"), `${JSON.stringify(manifest(count), null, 2)}\n`);
}
