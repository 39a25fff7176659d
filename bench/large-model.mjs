// What a model of a billion parameters, 4 GB in float, takes of memory and time, stage by stage, as a table in Markdown. Linux only.
//   node bench/large-model.mjs [--stages inspect,analyze,...] [--layers 17 --width 2048 --hidden 5632 --vocabulary 32000] [--samples 12]
//                              [--folder bench/out/large] [--keep] [--memory 6GB]
// The model is made when the folder has none and removed at the end unless --keep. Needs dist/ and, for a billion, 8 GB of disk.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { billion, parameterCount, writeDecoder } from "./large/decoder.mjs";
import { markdownTable, root } from "./zoo-cli.mjs";

const sizeNames = Object.keys(billion);
const { values: options } = parseArgs({
  options: {
    stages: { type: "string", default: "inspect,analyze,search" },
    folder: { type: "string", default: join(root, "bench", "out", "large") },
    samples: { type: "string", default: "12" },
    memory: { type: "string" },
    keep: { type: "boolean", default: false },
    ...Object.fromEntries(sizeNames.map((name) => [name, { type: "string", default: String(billion[name]) }])),
  },
});
const sizes = Object.fromEntries(sizeNames.map((name) => [name, Number(options[name])]));
const inFolder = (name) => join(options.folder, name);
const [model, data] = [inFolder("model.onnx"), inFolder("dataset.json")];
const memory = options.memory === undefined ? [] : ["--memory", options.memory];
const weightOnly = ["--rounding", "nearest", "--formats", "fp16,int8,int4b32,int4b128"];

/** The arguments of `bitwright` in each stage. */
const stages = {
  inspect: ["inspect", model],
  // No activation takes a format here, so nothing has to be run.
  analyze: [
    ...[
      "analyze",
      model,
      "--data",
      data,
      "-o",
      inFolder("weights.json"),
      "--criteria",
      "quantization-error",
      "--force",
    ],
    ...["--rounding", "nearest", "--formats", "fp16,int4b32,int4b128", ...memory],
  ],
  search: [
    ...["search", model, "--data", data, "--analysis", inFolder("weights.json"), "-o", inFolder("small.onnx")],
    ...["--criterion", "quantization-error", "--interactions", "none", "--search", "integer-program"],
    ...["--max-size", "30%", "--no-verify", ...memory],
  ],
  // With activations: the model runs in the engine.
  "analyze-curvature": [
    ...["analyze", model, "--data", data, "-o", inFolder("curvature.json"), "--criteria", "curvature", "--force"],
    ...[...weightOnly, "--samples", "2", "--probes", "4", "--batch", "1", ...memory],
  ],
  verify: ["evaluate", inFolder("small.onnx"), "--data", data, "--batch", "1"],
};

if (!existsSync(model)) {
  const start = performance.now();
  await writeDecoder(options.folder, sizes, Number(options.samples));
  console.error(`wrote ${parameterCount(sizes)} parameters in ${seconds(start)} s`);
}
const rows = [];
for (const name of options.stages.split(",")) rows.push([name, ...(await measure(stages[name]))]);
console.log(`${parameterCount(sizes)} parameters, ${gigabytes(dataBytes(model))} GB\n`);
console.log(markdownTable(["stage", "peak resident GB", "seconds", "exit code"], rows));
for (const name of ["small.onnx", "small.onnx.data"].map(inFolder)) {
  if (existsSync(name)) console.log(`${name}: ${gigabytes(statSync(name).size)} GB`);
}
if (!options.keep) rmSync(options.folder, { recursive: true });

/** Runs `bitwright` and asks the system for its high-water mark until it ends. */
async function measure(args) {
  const start = performance.now();
  const child = spawn(process.execPath, [join(root, "dist", "bin", "bitwright.js"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, highWaterMark(child.pid));
  }, 50);
  const code = await new Promise((resolve) => child.on("exit", resolve));
  clearInterval(timer);
  return [gigabytes(peak), seconds(start), String(code)];
}

function highWaterMark(pid) {
  try {
    return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    // It has ended.
    return 0;
  }
}

function dataBytes(path) {
  return [path, `${path}.data`].reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0);
}

function gigabytes(bytes) {
  return (bytes / 1e9).toFixed(2);
}

function seconds(start) {
  return ((performance.now() - start) / 1000).toFixed(1);
}
