// Holds whole networks' derivatives to PyTorch's in double precision. README.md says how to run it and what the table shows.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { targets } from "../../dist/backend/info.js";
import { loadBackend } from "../../dist/backend/load-node.js";
import { openDataset } from "../../dist/data/open-node.js";
import { readModelFile } from "../../dist/onnx/model-node.js";
import { resolveOptions } from "../../dist/options.js";
import { openWorkspace } from "../../dist/workspace.js";
import { compare, engineFigures } from "./figures.mjs";
import { estimatesOf, interactionsOf, largestDifference, pytorchMatrices, relativeDistance } from "./interactions.mjs";
import { openJob } from "./job.mjs";
import { pytorchFigures } from "./pytorch.mjs";
import { summary, traceErrors } from "./traces.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string", default: "python3" },
    zoo: { type: "string", default: join(here, "../../../shared/zoo") },
    threads: { type: "string", default: "2" },
  },
});

const parts = {
  resnet20: () => resnet20(false),
  "resnet20-cleaned": () => resnet20(true),
  resnet56: () => twoImages("resnet56_cifar10"),
  resnet8: () => twoImages("mlperf_tiny_resnet8_cifar10"),
  "squeezenet1.1": () => twoImages("squeezenet1.1_224"),
  mobilenetv1: () => twoImages("mobilenetv1_0.25_224_bn"),
  mobilenetv2: () => twoImages("mobilenetv2_1.0_224"),
  "resnet20-interactions": () =>
    interactions({
      model: join(args.zoo, "models/resnet20_cifar10_bn.onnx"),
      data: join(here, "../zoo/resnet20_cifar10_bn.json"),
      formats: ["int4"],
      // Behind the calibration pictures, the first of the test pictures.
      samples: { first: 1000, end: 1032 },
    }),
  "bert-interactions": () => zooInteractions("bert_small_sst2"),
  "cct-interactions": () => zooInteractions("cct_cifar10"),
  // Made by `npm run demo`.
  "shapes-interactions": () =>
    interactions({
      model: join(here, "../../examples/shapes/shapes.onnx"),
      data: join(here, "../../examples/shapes/data/dataset.json"),
      formats: ["int8", "int4"],
      samples: { first: 256, end: 264 },
    }),
};
/** What rounding explains of a relative difference. */
const limits = { float32: 1e-4, float64: 1e-9, strict: 0, interactions: 1e-3 };
/** What the few values that rounding puts on the other side of a ReLU's kink do not change by more than the limit. */
const wholeFigures = new Set(["loss", "gradients", "v'Hv, all weights"]);

const threads = Number(args.threads);
const native = await loadBackend("native");
const wasm = await loadBackend("wasm");
const strict = (backend) => targets(backend).find((target) => target.endsWith("/strict"));
const float32 = { native: { backend: native, options: { threads } }, wasm: { backend: wasm, options: {} } };

let failures = 0;
for (const part of positionals.length > 0 ? positionals : Object.keys(parts)) {
  console.log(`\n${part}`);
  await parts[part]();
}
console.log(failures === 0 ? "\nevery figure agrees" : `\n${failures} figures do not agree`);
process.exitCode = failures === 0 ? 0 : 1;

async function resnet20(clean) {
  // Behind the calibration pictures, the first of the test pictures.
  const pictures = Array.from({ length: 32 }, (_, i) => 1000 + i);
  const open = (samples) =>
    openJob({ model: "resnet20_cifar10_bn", clean, samples, eachLayer: true }, { zoo: args.zoo, backend: native });

  const job = await open(pictures);
  const expected = await pytorchFigures(job, args.python, { traces: true });
  const figures = {};
  for (const [name, { backend, options }] of Object.entries(float32)) {
    figures[name] = await engineFigures(job, backend, options);
    const rows = compare(figures[name], expected, job).filter(({ figure }) => wholeFigures.has(figure));
    table(`${name} float32, 32 images`, rows, limits.float32);
    const sameSides = await pytorchFigures(job, args.python, figures[name]);
    table(`${name} float32, PyTorch on its sides of kinks`, compare(figures[name], sameSides, job), limits.float32);
  }
  await traces(job, expected.traces);

  const few = await open(pictures.slice(0, 4));
  const ofFew = await pytorchFigures(few, args.python);
  const float64 = await engineFigures(few, native, { precision: "float64", threads });
  table("native float64, 4 images", compare(float64, ofFew, few), limits.float64);
  const wasm64 = await engineFigures({ ...few, eachLayer: false }, wasm, { precision: "float64" });
  table("wasm float64, 4 images", compare(wasm64, ofFew, few), limits.float64);
  const strictNative = await engineFigures(few, native, { target: strict(native), threads });
  const strictWasm = await engineFigures(few, wasm, { target: strict(wasm) });
  table("wasm strict against native strict, 4 images", compare(strictWasm, strictNative, few), limits.strict);
}

async function twoImages(model) {
  const job = await openJob(
    { model, clean: false, samples: [0, 500], eachLayer: false },
    { zoo: args.zoo, backend: native },
  );
  for (const [name, { backend, options }] of Object.entries(float32)) {
    const figures = await engineFigures(job, backend, options);
    const sameSides = await pytorchFigures(job, args.python, figures);
    table(`${name} float32, 2 images, PyTorch on its sides of kinks`, compare(figures, sameSides, job), limits.float32);
  }
  const float64 = await engineFigures(job, native, { precision: "float64", threads });
  table("native float64, 2 images", compare(float64, await pytorchFigures(job, args.python), job), limits.float64);
}

/** The estimates of one long run are within three of their standard errors, and those of several short runs as far off as these say. */
async function traces(job, exact) {
  const long = summary(await traceErrors(job, exact, { backend: native, threads, probes: 64, seeds: 1 }));
  const short = summary(await traceErrors(job, exact, { backend: native, threads, probes: 16, seeds: 6 }));
  console.log("  traces, in standard errors off the exact ones");
  line("64 probes, worst of all sites", long.largest, 3, "");
  line("16 probes, 6 seeds, |mean|", Math.abs(short.mean), 0.5, "");
  line("16 probes, 6 seeds, root mean square", short.rms, 1.3, "");
}

/** All int4 weights by either rounding, for the first samples behind those for calibration. */
async function zooInteractions(name) {
  for (const rounding of ["nearest", "error-feedback"]) {
    await interactions({
      model: join(args.zoo, `models/${name}.onnx`),
      data: join(here, `../zoo/${name}.json`),
      formats: ["int4"],
      samples: { first: 1000, end: 1008 },
      rounding,
    });
  }
}

/**
 * Both exact matrices of all choices, and how the estimate comes to the Gauss-Newton matrix: its error times the root of the number of probes does not
 * rise.
 */
async function interactions({ model: path, data, formats, samples, rounding = "nearest" }) {
  const model = await readModelFile(path);
  const dataset = await openDataset(data);
  const indices = Array.from({ length: samples.end - samples.first }, (_, i) => samples.first + i);
  const given = { formats, samples, loss: "cross-entropy", rounding, threads };
  const within = async (work, more = {}) => {
    const workspace = await openWorkspace(native, model, dataset, resolveOptions({ ...given, ...more }));
    try {
      return await work(workspace);
    } finally {
      await workspace[Symbol.asyncDispose]();
    }
  };
  const { exact, known } = await within(async (workspace) => {
    const known = await interactionsOf(workspace, "gauss-newton");
    const found = { "gauss-newton": known.interactions };
    found.hessian = (await interactionsOf(workspace, "hessian", known)).interactions;
    const expected = await pytorchMatrices(workspace, known, indices, args.python);
    console.log(
      `  ${known.interactions.choices.length} choices, rounding ${rounding}, ${indices.length} samples; largest difference over largest entry`,
    );
    for (const [source, { matrix, corrected }] of Object.entries(found)) {
      line(`${source}, tensors alone`, largestDifference(matrix, expected.own[source]), limits.interactions, "");
      line(
        `${source}, biases corrected`,
        largestDifference(corrected, expected.corrected[source]),
        limits.interactions,
        "",
      );
    }
    return { exact: expected.corrected["gauss-newton"], known };
  });
  console.log(
    "  Fisher probes: relative distance from PyTorch's Gauss-Newton matrix, root mean square; and times the root of their number",
  );
  const most = 1024;
  const { interactions: estimate } = await within((ws) => interactionsOf(ws, "fisher", known), { probes: most });
  let before = Number.POSITIVE_INFINITY;
  for (const probes of [4, 16, 64, 256]) {
    const distances = estimatesOf(estimate, probes).map((matrix) => relativeDistance(matrix, exact));
    const rms = Math.sqrt(distances.reduce((sum, distance) => sum + distance ** 2, 0) / distances.length);
    const scaled = rms * Math.sqrt(probes);
    // Where the estimate is exact, rounding is left.
    const limit = rms < limits.interactions ? Number.POSITIVE_INFINITY : 1.3 * before;
    line(`K = ${probes}, ${most / probes} times: ${rms.toExponential(1)}`, scaled, Number(limit.toPrecision(2)), "");
    before = scaled;
  }
}

function table(title, rows, limit) {
  console.log(`  ${title}`);
  for (const { figure, difference, where } of rows) line(figure, difference, limit, where);
}

function line(figure, value, limit, where) {
  const agrees = value <= limit;
  if (!agrees) failures++;
  const number = value >= 0.01 ? value.toFixed(2) : value.toExponential(1);
  console.log(
    `    ${figure.padEnd(38)}${number.padStart(8)}  limit ${`${limit}`.padEnd(6)} ${agrees ? "ok  " : "FAIL"}  ${where}`,
  );
}
