// Quantizes models of the zoo for ort-cpu and prints a table in Markdown.
//   node bench/zoo.mjs [NAME...] [--keep 99%] [--method curvature] [--uniform int8] [--out bench/out/zoo] [--zoo ../shared/zoo]
// A name is that of a manifest in bench/zoo; without any, all of them. Beside each, what the formats of `uniform` (a list) give without any search. The models, with their plans and analyses, stay in the
// folder `out`; with an analysis already there, sensitivities are not measured again and `seconds` is the time of the rest. Needs dist/.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { count, metricValue, percent } from "../dist/report/units.js";
import { bitwright, defaultZoo, root, zooModel } from "./zoo-cli.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keep: { type: "string", default: "99%" },
    method: { type: "string", default: "" },
    uniform: { type: "string", default: "int8" },
    out: { type: "string", default: join(root, "bench", "out", "zoo") },
    zoo: { type: "string", default: defaultZoo },
  },
});
const networks = [
  "mobilenetv2_1.0_224",
  "mobilenetv1_0.25_224_bn",
  "squeezenet1.1_224",
  "resnet20_cifar10_bn",
  "resnet56_cifar10",
  "mlperf_tiny_resnet8_cifar10",
  "cct_cifar10",
  "bert_small_sst2",
  "stories260k_llama",
  "gcn_cora",
  "magika_standard_v3_3",
  "silero_vad_op18_ifless",
  "gtcrn_stream",
  "imdn_x4",
  "yolox_nano_weeds",
];
const uniforms = options.uniform.split(",").filter((format) => format !== "");
/** Where a share of the float model's figure says nothing: decibels, and a figure that is held against the float model's own output. */
const limits = { imdn_x4: ["--max-drop", "0.1"], gtcrn_stream: ["--max-kl", "0.02"] };

const headings = [
  "model",
  "metric",
  "float",
  "quantized",
  "kept",
  "at least",
  "size",
  "latency",
  "int8 / int4 / fp16 / float layers",
  "kernels as planned",
  "seconds",
  ...uniforms.flatMap((format) => [`all ${format}: figure`, "size", "latency"]),
];
mkdirSync(options.out, { recursive: true });
console.log(`| ${headings.join(" | ")} |\n|${headings.map(() => "---").join("|")}|`);
for (const name of positionals.length > 0 ? positionals : networks) console.log(`| ${row(name).join(" | ")} |`);

/** @param {string} name */
function row(name) {
  const { model, manifest } = zooModel(options.zoo, name);
  const given = ["quantize", model, "--data", manifest];
  const method = options.method === "" ? [] : ["--method", options.method];
  const seconds = run([...given, ...(limits[name] ?? ["--keep", options.keep]), ...method, "-o", file(name, ".onnx")]);
  const plan = planOf(name);
  const { before, after, verified, layers } = plan;
  const { keepRatio } = verified.paired ?? verified.change;
  const value = (figure) => (figure === null ? "" : metricValue(before.metric, figure));
  const formats = ["int8", "int4", "fp16", "float"].map((format) =>
    count(layers.filter(({ weight, weightFormat }) => weight !== null && weightFormat === format).length),
  );
  return [
    name,
    before.metric,
    value(before.value),
    value(after.value),
    keepRatio === null ? "" : percent(keepRatio.value),
    keepRatio === null ? "" : percent(keepRatio.low),
    ...sizeAndTime(plan),
    formats.join(" / "),
    verified.fusedAsPlanned ? "yes" : "no",
    seconds.toFixed(0),
    ...uniforms.flatMap((format) => uniform(name, given, format)),
  ];
}

/** Figure, size and time with every layer that has it in one format, each weight rounded by itself, as quantizers without a search do it. */
function uniform(name, given, format) {
  const [everything, plain] = [
    ["--formats", format, "--rounding", "nearest", "--max-kl", "1e9"],
    ["--criterion", "quantization-error", "--interactions", "none", "--search", "integer-program"],
  ];
  run([...given, ...everything, ...plain, "-o", file(name, `.${format}.onnx`)]);
  const plan = planOf(`${name}.${format}`);
  const { metric, value } = plan.after;
  return [value === null ? "" : metricValue(metric, value), ...sizeAndTime(plan)];
}

function sizeAndTime({ before, after, verified }) {
  return [percent(after.bytes / before.bytes, 1), `${verified.latencyRatio.toFixed(2)} x`];
}

/** Exit code 3 is a result too: the best found does not meet the limits. */
function run(args) {
  const { status, seconds } = bitwright(args);
  if (status !== 0 && status !== 3) throw new Error(`bitwright ${args.join(" ")} ended with exit code ${status}`);
  return seconds;
}

function file(name, ending) {
  return join(options.out, `${name}${ending}`);
}

function planOf(name) {
  return JSON.parse(readFileSync(file(name, ".plan.json"), "utf8"));
}
