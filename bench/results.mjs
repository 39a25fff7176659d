// Runs every method and judges every criterion over the convolutional networks of the zoo and the example's, times their parts and wholes, quantizes every network, and
// writes docs/results.md.
//   node bench/results.mjs [NAME...] [--keep 99%] [--samples N] [--criteria LIST]
//     [--sizes 24%,20%,16%] [--times 80%,65%] [--beside latency,zoo,language] [--out bench/out/results] [--zoo ../shared/zoo] [--file docs/results.md] [--write]
// Each step leaves its JSON in the folder `out` and is not run again while that is there: delete what is to be measured anew. With --write nothing is run, and what is not there is left out. Needs dist/.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { typicalError } from "../dist/cost/latency-model.js";
import { methods } from "../dist/methods.js";
import { judgementHeadings, judgementRows } from "../dist/report/judgement.js";
import { digits, metricValue, percent } from "../dist/report/units.js";
import { criteria } from "../dist/sensitivity/index.js";
import { bitwright, defaultZoo, markdownTable, root, zooModel } from "./zoo-cli.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keep: { type: "string", default: "99%" },
    samples: { type: "string" },
    criteria: { type: "string", default: Object.keys(criteria).join() },
    sizes: { type: "string", default: "24%,20%,16%" },
    times: { type: "string", default: "80%,65%" },
    beside: { type: "string", default: "latency,zoo,language" },
    out: { type: "string", default: join(root, "bench", "out", "results") },
    zoo: { type: "string", default: defaultZoo },
    file: { type: "string", default: join(root, "docs", "results.md") },
    write: { type: "boolean", default: false },
  },
});
/** With the samples of their analyses: as many as minutes allow, more for the network whose figures scatter most. */
const convolutional = {
  shapes: 256,
  resnet20_cifar10_bn: 64,
  "mobilenetv1_0.25_224_bn": 128,
  "squeezenet1.1_224": 64,
  resnet56_cifar10: 128,
  "mobilenetv2_1.0_224": 32,
};
/** Shares of the float model's file and time at which methods are compared. Without times nothing is timed, and multiply-accumulates stand for time. */
const [sizes, times] = [options.sizes, options.times].map((list) => list.split(",").filter((share) => share !== ""));

const beside = options.beside.split(",");
const names = positionals.length > 0 ? positionals : Object.keys(convolutional);
const models = names.map((name) => ({ name, folder: join(options.out, name), ...zooModel(options.zoo, name) }));
for (const model of options.write ? [] : models) {
  mkdirSync(model.folder, { recursive: true });
  analyzeAndJudge(model);
  for (const method of Object.keys(methods)) {
    search(model, method, `keep-${method}`, ["--keep", options.keep]);
    for (const size of sizes) search(model, method, `size-${size}-${method}`, ["--max-size", size]);
    for (const time of times) search(model, method, `time-${time}-${method}`, ["--max-latency", time]);
  }
}
writeFileSync(
  options.file,
  `${document()
    .trim()
    .replaceAll(/\n{3,}/g, "\n\n")}\n`,
);

/** What another bench prints. */
function tableOf(file, bench, args) {
  const path = join(options.out, file);
  if (!existsSync(path)) {
    const script = [join(root, "bench", bench), ...args, "--zoo", options.zoo];
    const { status, stdout } = spawnSync(process.execPath, script, {
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`bench/${bench} ended with exit code ${status}`);
    writeFileSync(path, stdout);
  }
  return readFileSync(path, "utf8").trim();
}

/** One analysis for each source of interactions that a method needs. Criteria that are made of a source are scored beside it: its products are taken once. */
function analyzeAndJudge({ name, model, manifest, folder }) {
  const judgement = join(folder, "judgement.json");
  if (existsSync(judgement)) return;
  const samples = options.samples ?? convolutional[name] ?? 64;
  const [hessian, fisher] = ["hessian", "fisher"].map((source) => analysisPath(folder, source));
  const analyze = (source, names, path) => {
    const args = ["--criteria", names.join(), "--interactions", source, "--samples", `${samples}`];
    must(["analyze", model, "--data", manifest, ...args, ...(times.length > 0 ? ["--latency"] : []), "-o", path]);
  };
  const names = options.criteria.split(",");
  const others = names.filter((criterion) => criterion !== "curvature");
  if (!existsSync(fisher)) {
    analyze("hessian", others.length > 0 ? others : names, hessian);
    copyFileSync(hessian, fisher);
  }
  analyze("fisher", names, fisher);
  must([
    "judge",
    model,
    "--data",
    manifest,
    "--analysis",
    fisher,
    "-o",
    judgement,
    "--report",
    join(folder, "judgement.html"),
  ]);
}

function search({ model, manifest, folder }, method, name, limits) {
  if (existsSync(planPath(folder, name))) return;
  const { interactions } = methods[method];
  const analysis = analysisPath(folder, interactions === "none" ? "fisher" : interactions);
  const given = ["search", model, "--data", manifest, "--analysis", analysis, "--method", method, ...limits];
  must([...given, "-o", join(folder, `${name}.onnx`)]);
}

function analysisPath(folder, source) {
  return join(folder, `${source}.analysis.json`);
}

/** Exit code 3 is a result too: the best found does not meet the limits. */
function must(args) {
  const { status } = bitwright(args);
  if (status !== 0 && status !== 3) throw new Error(`bitwright ${args.join(" ")} ended with exit code ${status}`);
}

function planPath(folder, name) {
  return join(folder, `${name}.plan.json`);
}

function read(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function document() {
  const [{ model }] = cpus();
  const given = process.argv
    .slice(2)
    .map((argument) => ` ${argument === "" ? '""' : argument}`)
    .join("");
  const bySize = models.flatMap((model) => fronts(model, "size", sizes));
  return `# Results

Written by \`node bench/results.mjs${given}\` on ${cpus().length} cores of ${model}. Every figure of a file is of plain onnxruntime on the verify split, which
neither analysis nor search has seen. Latencies are ratios of interleaved runs, which other work on the machine blurs.

## What the criteria know

Each criterion against measurements: every site alone (Spearman and Kendall over all sites and formats; Spearman over weights in int4 and activations in int8), and random whole configurations. Ratio (predicted over
measured), slope (of their logarithms) and median error are of the configurations that diverge by less than 0.1. \`loss-mse\`, \`loss-mse-noise\` and \`quantization-error\`
are not in units of the loss: only their ranks count.

${models.map(judged).join("\n\n")}

## What the methods find with ${options.keep} kept

${markdownTable(["model", "method", "kept", "at least", "size", "latency", "divergence", "evaluations"], models.flatMap(kept))}

## At equal size

Mean divergence from the float model of the verified files, without any band: each method minimizes what it predicts inside the limit.

${markdownTable(["model", "limit", ...Object.keys(methods)], bySize)}

${winners(bySize)}

${times.length === 0 ? "" : atEqualLatency()}

${beside.includes("latency") ? timesOfParts() : ""}

${beside.includes("zoo") ? everyNetwork() : ""}

${beside.includes("language") ? languageModel() : ""}`;
}

function timesOfParts() {
  return `## What times of parts tell

Predictions of whole configurations, all layers on integer kernels and random mixtures, against their measured times: by the additive model over sequential parts, by gains of single layers that were timed
alone, and by multiply-accumulates. Errors are |predicted / measured - 1|.

${tableOf("latency.md", "latency.mjs", names)}`;
}

function everyNetwork() {
  return `## Every network

${options.keep} kept (\`imdn_x4\` within \`--max-drop 0.1\`, in decibels, and \`gtcrn_stream\`, whose truth is the float model's output, within \`--max-kl 0.02\`), beside what int8 gives in every layer that has it, with weights rounded to nearest and no search. *At least* is the bound of
what is kept with 95 % confidence.

${tableOf("zoo.md", "zoo.mjs", [])}`;
}

function languageModel() {
  return `## A language model

The smallest file of \`stories260k_llama\` that searches find with 99.1 % of its perplexity kept on the search split, which of unseen texts keeps 99 % with most of them, beside one format in every layer that has it, with weights rounded to nearest and no
search. Perplexities in onnxruntime on two whole texts, one of which, \`tinystories\`, no search has seen.

${tableOf("language-model.md", "language-model.mjs", [])}`;
}

/** Which method has the least divergence; differences below the error of most predictions are ties. */
function winners(rows) {
  const names = Object.keys(methods);
  const lower = rows.flatMap(([model, limit, ...cells]) => {
    const figures = cells.map(Number.parseFloat);
    const own = figures[names.indexOf("curvature")];
    const least = Math.min(...figures);
    if (least >= 0.95 * own) return [];
    return [`${names[figures.indexOf(least)]} on ${model} at ${limit} (by ${percent(1 - least / own, 0)})`];
  });
  const most = `curvature has the least divergence, or comes within 5 % of it, in ${rows.length - lower.length} of ${rows.length} rows`;
  return `${most}${lower.length === 0 ? "" : `; less have ${lower.join(", ")}`}. Smaller differences than that are below the errors of predictions above: files that differ in a few layers.`;
}

function atEqualLatency() {
  return `## At equal measured latency

What the latency models, which searches minimize and limit time by, were off by in their own checks of whole configurations: ${models.filter(isTimed).map(latencyError).join(", ")}. Where that is much, the machine was
busy when the parts were timed, and sizes and latencies above suffer from it as well: searches minimize both.

${markdownTable(
  ["model", "limit", ...Object.keys(methods)],
  models.flatMap((model) => fronts(model, "time", times)),
)}
`;
}

function isTimed({ folder }) {
  return read(analysisPath(folder, "fisher")).latency !== undefined;
}

function latencyError({ name, folder }) {
  const { latency } = read(analysisPath(folder, "fisher"));
  const error = typicalError(latency);
  return `${name} ${error === undefined ? "unknown" : percent(error, 0)}`;
}

function judged({ name, folder }) {
  const rows = judgementRows(read(join(folder, "judgement.json")));
  const { samples } = read(analysisPath(folder, "fisher")).binding.options;
  return `### ${name}, ${samples} samples\n\n${markdownTable(
    judgementHeadings.map((heading) => heading.replace(/^#/, "")),
    rows,
  )}`;
}

function kept({ name, folder }) {
  const found = Object.keys(methods).filter((method) => existsSync(planPath(folder, `keep-${method}`)));
  return found.map((method) => {
    const { before, after, verified, search } = read(planPath(folder, `keep-${method}`));
    return [
      name,
      method,
      `${percent(after.value / before.value)} (${metricValue(before.metric, after.value)})`,
      verified.paired === null ? "" : percent(verified.paired.keepRatio.low),
      percent(after.bytes / before.bytes, 1),
      `${verified.latencyRatio.toFixed(2)} x`,
      digits(verified.kl),
      String(search.evaluations),
    ];
  });
}

function fronts({ name, folder }, kind, limits) {
  const found = limits.filter((limit) => existsSync(planPath(folder, `${kind}-${limit}-curvature`)));
  return found.map((limit) => [
    name,
    limit,
    ...Object.keys(methods).map((method) => {
      const { after, before, verified } = read(planPath(folder, `${kind}-${limit}-${method}`));
      const used = kind === "size" ? percent(after.bytes / before.bytes, 1) : `${verified.latencyRatio.toFixed(2)} x`;
      return `${digits(verified.kl)} (${used})`;
    }),
  ]);
}
