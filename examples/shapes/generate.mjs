#!/usr/bin/env node
// Writes images_u8.npy, labels_u8.npy and dataset.json; the same bytes on every machine.
//
//   node examples/shapes/generate.mjs [--out FOLDER] [--seed N] [--count N]

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { evaluationCount, evaluationSeed, writeDataset } from "./dataset.mjs";

const { values } = parseArgs({
  options: {
    out: { type: "string", default: fileURLToPath(new URL("data", import.meta.url)) },
    seed: { type: "string", default: String(evaluationSeed) },
    count: { type: "string", default: String(evaluationCount) },
  },
});

/** @param {"seed" | "count"} option */
function positiveInteger(option) {
  const value = Number(values[option]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`Expected a positive integer for --${option} but received "${values[option]}"`);
  process.exit(2);
}

writeDataset(values.out, { seed: positiveInteger("seed"), count: positiveInteger("count") });
console.log(`Wrote ${values.out}`);
