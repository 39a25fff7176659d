// Metric of the float zoo models in onnxruntime, on each split of their manifests and on all that is not for calibration, held against the figures that
// the zoo's README gives. Ends with 1 when one differs.
//
//   node bench/zoo-metrics.mjs [--zoo DIR] [--batch N] [model ...]

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { CarriedStates } from "../dist/data/carried-states.js";
import { concatenateScores, createScorer } from "../dist/data/metrics/scorer.js";
import { openDataset } from "../dist/data/open-node.js";

/** What the README measured, to the last digit: on the samples of a split, or of several. */
const readme = {
  bert_small_sst2: ["search+verify", "0.7856"],
  cct_cifar10: ["search+verify", "0.7092"],
  gcn_cora: ["verify", "0.8240"],
  imdn_x4: ["all", "32.210"],
  magika_standard_v3_3: ["all", "0.9674"],
  mlperf_tiny_resnet8_cifar10: ["search+verify", "0.7644"],
  "mobilenetv1_0.25_224_bn": ["all", "0.5910"],
  "mobilenetv2_1.0_224": ["all", "0.8790"],
  resnet20_cifar10_bn: ["search+verify", "0.8102"],
  resnet56_cifar10: ["search+verify", "0.8302"],
  silero_vad_op18_ifless: ["all", "0.9564"],
  "squeezenet1.1_224": ["all", "0.6110"],
  stories260k_llama: ["search+verify", "10.653"],
};

/** Those without right answers: what the README compares them with. */
const against = {
  // Rolled through the whole recording, the spectrum is the one whose sound agrees with the repository's.
  gtcrn_stream: (manifest) => ({
    ...manifest,
    metric: { name: "snr", output: "enh" },
    targets: { file: "../../../shared/zoo/data/gtcrn/fp32_enh_stft_f32.npy", layout: "NFC>NF1C" },
    sequences: { length: 611 },
    splits: { verify: [0, 1] },
  }),
};
/** Decibels of float rounding. */
const rounding = 120;

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
  const path = join(here, "zoo", `${name}.json`);
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  const dataset = await openDataset(against[name]?.(manifest) ?? manifest, { baseDir: dirname(path) });
  const session = await InferenceSession.create(model, { logSeverityLevel: 3 });
  const batchSize = freeBatch(session, dataset) ? Number(values.batch) : 1;
  const started = performance.now();
  const scores = {};
  for (const split of ["calibration", "search", "verify"]) {
    if (dataset.splits[split].length > 0) scores[split] = await score(session, dataset, split, batchSize);
  }
  const { calibration, ...heldBack } = scores;
  const parts = {
    ...scores,
    "search+verify": concatenateScores(Object.values(heldBack)),
    all: concatenateScores(Object.values(scores)),
  };
  const figures = Object.entries(parts).map(
    ([split, part]) => `${split} ${dataset.metric.finish(part).toFixed(4)} (${part.value.length})`,
  );
  const seconds = (performance.now() - started) / 1000;
  const verdict = judge(name, (split) => dataset.metric.finish(parts[split]));
  console.log(`${name}: ${dataset.metric.name} ${figures.join(", ")}; ${verdict}; ${seconds.toFixed(1)} s`);
  await session.release();
}

function judge(name, figure) {
  if (against[name] !== undefined) {
    const same = figure("all") > rounding;
    if (!same) process.exitCode = 1;
    return same ? "as the zoo's own output" : "DIFFERS from the zoo's own output";
  }
  if (readme[name] === undefined) return "nothing to compare with";
  const [split, expected] = readme[name];
  const same = figure(split).toFixed(expected.split(".")[1].length) === expected;
  if (!same) process.exitCode = 1;
  return same ? "as in the README" : `DIFFERS from the README's ${expected}`;
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
