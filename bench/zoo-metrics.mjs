// Metric of the float zoo models in onnxruntime, on each split of their manifests and on all that is not for calibration.
//
//   node bench/zoo-metrics.mjs [--zoo DIR] [--batch N] [model ...]

import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { CarriedStates } from "../dist/data/carried-states.js";
import { concatenateScores, createScorer } from "../dist/data/metrics/scorer.js";
import { openDataset } from "../dist/data/open-node.js";

const here = dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    zoo: { type: "string", default: join(here, "../../shared/zoo") },
    batch: { type: "string", default: "25" },
  },
});

const manifests = readdirSync(join(here, "zoo")).map((file) => file.replace(/\.json$/, ""));
for (const name of positionals.length > 0 ? positionals : manifests) {
  const model = join(values.zoo, "models", `${name}.onnx`);
  if (!existsSync(model)) throw new Error(`${model} does not exist; --zoo names the folder that holds models/`);
  const dataset = await openDataset(join(here, "zoo", `${name}.json`));
  const session = await InferenceSession.create(model, { logSeverityLevel: 3 });
  const batchSize = freeBatch(session, dataset) ? Number(values.batch) : 1;
  const started = performance.now();
  const scores = {};
  for (const split of ["calibration", "search", "verify"]) {
    scores[split] = await score(session, dataset, split, batchSize);
  }
  const heldBack = concatenateScores([scores.search, scores.verify]);
  const all = concatenateScores([scores.calibration, heldBack]);
  const figures = Object.entries({ ...scores, "search+verify": heldBack, all }).map(
    ([split, part]) => `${split} ${dataset.metric.finish(part).toFixed(4)} (${part.value.length})`,
  );
  const seconds = (performance.now() - started) / 1000;
  console.log(`${name}: ${dataset.metric.name} ${figures.join(", ")}; ${seconds.toFixed(1)} s`);
  await session.release();
}

function freeBatch(session, dataset) {
  const shapes = new Map(session.inputMetadata.map((input) => [input.name, input.shape]));
  return dataset.inputs.every(
    ({ name, batchAxis }) => batchAxis === undefined || typeof shapes.get(name)[batchAxis] === "string",
  );
}

async function score(session, dataset, split, batchSize) {
  const scorer = createScorer(dataset.metric);
  const carried = new CarriedStates(dataset);
  for await (const batch of dataset.batches(split, batchSize)) {
    const feeds = Object.fromEntries(
      Object.entries(carried.feedsOf(batch)).map(([name, { dtype, data, dims }]) => [
        name,
        new Tensor(dtype, data, dims),
      ]),
    );
    const results = await session.run(feeds);
    const outputs = Object.fromEntries(
      session.outputNames.map((name) => [
        name,
        { dtype: results[name].type, dims: results[name].dims, data: results[name].data },
      ]),
    );
    carried.take(batch, outputs);
    scorer.add(batch, outputs, outputs);
  }
  return scorer.result().scores;
}
