// The smallest file of a language model inside a band on perplexity that each search finds from one analysis, beside uniform formats, as a table in Markdown.
//   node bench/language-model.mjs [--keep 99.1%] [--formats fp16,int8,int8b32,int4b64,int4b32,int4b16,int4] [--uniform int8,int8b32,int4b32,int4]
//                                 [--criteria LIST] [--searches LIST] [--out bench/out/language-model]
//                                 [--zoo ../shared/zoo]
// Each file is run in onnxruntime on both texts as a whole. Steps that are in the folder `out` are not run again. Needs dist/.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { percent } from "../dist/report/units.js";
import { bitwright, defaultZoo, markdownTable, root, zooModel } from "./zoo-cli.mjs";

const { values: options } = parseArgs({
  options: {
    // More than 99 %, so that texts that no search has seen keep that much.
    keep: { type: "string", default: "99.1%" },
    formats: { type: "string", default: "fp16,int8,int8b32,int4b64,int4b32,int4b16,int4" },
    uniform: { type: "string", default: "int8,int8b32,int4b32,int4" },
    criteria: { type: "string", default: "curvature,loss-mse" },
    searches: { type: "string", default: "integer-program,quadratic-program,bisection,greedy,pareto" },
    out: { type: "string", default: join(root, "bench", "out", "language-model") },
    zoo: { type: "string", default: defaultZoo },
  },
});
const { model, manifest } = zooModel(options.zoo, "stories260k_llama");
const inFolder = (name) => join(options.out, name);
mkdirSync(options.out, { recursive: true });
const texts = { tinystories: "tinystories_cs336", fables: "tf1_fables" };
for (const [name, file] of Object.entries(texts)) writeFileSync(inFolder(`${name}.json`), textManifest(file));

const criteria = options.criteria.split(",");
const rows = [["float", ...figures(model, "float")]];
for (const format of options.uniform.split(",")) rows.push([`all ${format}`, ...uniform(format)]);
for (const criterion of criteria) {
  for (const search of options.searches.split(","))
    rows.push([`${criterion}, ${search}`, ...smallest(criterion, search)]);
}
console.log(markdownTable(["", "size", ...Object.keys(texts).flatMap((name) => [name, "change"])], rows));

/** Every layer that has it in one format, each weight rounded by itself. */
function uniform(format) {
  const output = inFolder(`${format}.onnx`);
  const plain = ["--rounding", "nearest", "--criterion", "quantization-error", "--interactions", "none"];
  const everything = ["--formats", format, "--max-kl", "1e9", "--minimize", "size", "--search", "integer-program"];
  step(output, ["quantize", model, "--data", manifest, ...plain, ...everything, "-o", output]);
  return figures(output, format);
}

function smallest(criterion, search) {
  const analysis = inFolder("analysis.json");
  const output = inFolder(`${criterion}-${search}.onnx`);
  const data = ["--data", manifest];
  if (!existsSync(output)) {
    // What it has is not measured again.
    const wanted = ["--formats", options.formats, "--criteria", options.criteria, "--interactions", "fisher"];
    run(["analyze", model, ...data, ...wanted, "-o", analysis]);
  }
  const parts = ["--criterion", criterion, "--interactions", criterion === "curvature" ? "fisher" : "none"];
  const goal = ["--keep", options.keep, "--minimize", "size"];
  step(output, ["search", model, ...data, "--analysis", analysis, ...parts, "--search", search, ...goal, "-o", output]);
  return figures(output, `${criterion}-${search}`);
}

/** Size and perplexities of a file. */
function figures(file, name) {
  const perplexities = Object.keys(texts).flatMap((text) => {
    const [own, float] = [perplexity(file, text, name), perplexity(model, text, "float")];
    return [own.toFixed(3), percent(own / float - 1)];
  });
  return [percent(statSync(file).size / statSync(model).size, 1), ...perplexities];
}

function perplexity(file, text, name) {
  const result = inFolder(`${name}.${text}.evaluation.json`);
  step(result, ["evaluate", file, "--data", inFolder(`${text}.json`), "--split", "all", "--json", result]);
  return JSON.parse(readFileSync(result, "utf8")).value;
}

function step(file, args) {
  if (!existsSync(file)) run(args);
}

/** Exit code 3 is a result too: the best found does not meet the limits. */
function run(args) {
  const { status } = bitwright(args);
  if (status !== 0 && status !== 3) throw new Error(`bitwright ${args.join(" ")} ended with exit code ${status}`);
}

/** A data set of one text, all of it. */
function textManifest(name) {
  const { inputs, labels, metric } = JSON.parse(readFileSync(manifest, "utf8"));
  const file = (array) => relative(options.out, join(dirname(model), "..", "data", "lm", `${name}_${array}_i32.npy`));
  const input = { ...inputs.input_ids, file: file("ids"), lengths: file("len") };
  return JSON.stringify({ inputs: { input_ids: input }, labels, metric });
}
