// Interactions of an analysis, and PyTorch's matrices for the same model, samples and quantizers.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rangesOf } from "../../dist/analysis.js";
import { analyze } from "../../dist/analyze.js";
import { decodeFloats } from "../../dist/base64.js";
import { sampleShapes } from "../../dist/sample-shapes.js";
import { sitesOf } from "../../dist/sensitivity/sites.js";
import { kinksOf, writeJob } from "./job.mjs";

const script = join(dirname(fileURLToPath(import.meta.url)), "curvature.py");

/** What `analyze --interactions SOURCE` finds; `known` saves calibrating again. */
export function interactionsOf(workspace, source, known) {
  const binding = { model: "", data: "", judged: "", options: {} };
  return analyze(workspace, { criteria: [], interactions: source, binding, known });
}

/**
 * PyTorch's `{ own, corrected }`, each `{ hessian, "gauss-newton" }`, in the order of the analysis's choices: without and with what is taken off the
 * biases. Mean cross-entropy of the samples.
 */
export async function pytorchMatrices(workspace, analysis, samples, python) {
  const root = mkdtempSync(join(tmpdir(), "bitwright-oracle-"));
  try {
    // Samples of different lengths come in batches of their own.
    const batches = [];
    for await (const batch of workspace.dataset.batches(samples, samples.length)) {
      const folder = mkdtempSync(join(root, "batch-"));
      await writeMatricesJob(workspace, analysis, batch, folder);
      batches.push({ folder, share: batch.labels.length / samples.length });
    }
    const folders = batches.map(({ folder }) => folder);
    const { status, error } = spawnSync(python, [script, ...folders], { stdio: ["ignore", "inherit", "inherit"] });
    if (status !== 0) throw new Error(`${python} failed${error ? `: ${error.message}` : ""}`);
    return meanMatrices(batches);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function meanMatrices(batches) {
  const found = batches.map(({ folder }) => JSON.parse(readFileSync(join(folder, "matrices.json"), "utf8")));
  const mean = (pick) =>
    pick(found[0]).map((row, i) =>
      row.map((_, j) => batches.reduce((sum, { share }, k) => sum + share * pick(found[k])[i][j], 0)),
    );
  const both = (errors) => ({
    hessian: mean((matrices) => matrices[errors].hessian),
    "gauss-newton": mean((matrices) => matrices[errors]["gauss-newton"]),
  });
  return { own: both("own"), corrected: both("corrected") };
}

async function writeMatricesJob(workspace, analysis, { feeds, labels }, folder) {
  const { model, engine, simulator } = workspace;
  const dims = await sampleShapes(workspace, workspace.target.observedTensors(model), {});
  const sites = new Map(sitesOf(workspace, rangesOf(analysis), analysis, dims).map((site) => [site.id, site]));
  await simulator.apply({ weights: [], biases: [], edges: [] });
  await engine.run(feeds, { keep: true });

  const numbers = [];
  const place = (values) => {
    const first = numbers.length;
    for (const value of values) numbers.push(value);
    return { first, count: values.length };
  };
  const choices = analysis.interactions.choices.map(({ site: id, format }) => {
    const site = sites.get(id);
    const { scales, zeroPoints, qmin, qmax, granularity } = site.quantizers.get(format);
    const quantizer = { scales: place(scales), zeroPoint: zeroPoints[0], qmin, qmax, axis: granularity.axis ?? null };
    if (site.kind === "activation") {
      const [, ...each] = dims.get(site.tensor);
      return { ...quantizer, node: site.node, port: site.port, dims: [labels.length, ...each] };
    }
    const { weights, biases } = site.alone(format);
    const [bias] = biases;
    const { values } = weights.find(({ initializer }) => initializer === site.tensor);
    return {
      ...quantizer,
      tensor: site.tensor,
      ...(values !== undefined && { values: place(values) }),
      ...(bias !== undefined && {
        bias: { tensor: bias.initializer, correction: place(correctionOf(workspace, bias)) },
      }),
    };
  });
  writeFileSync(join(folder, "numbers.f32"), Float32Array.from(numbers));
  await writeJob(folder, { model, feeds, labels, kinks: await kinksOf(engine, model), choices });
}

function correctionOf({ weight }, { initializer, values }) {
  const { data } = weight(initializer);
  return values.map((value, channel) => value - data[channel]);
}

/** Largest difference of two matrices' entries, over the largest entry of the second. */
export function largestDifference(found, expected) {
  const entries = expected.flat();
  const largest = Math.max(...entries.map(Math.abs));
  return Math.max(...found.flat().map((value, i) => Math.abs(value - entries[i]))) / largest;
}

/** The matrices that disjoint groups of so many of an estimate's probes give, with corrections of biases. */
export function estimatesOf({ choices, projections: { probes, samples, data } }, perGroup) {
  const u = decodeFloats(data);
  const width = choices.length;
  return Array.from({ length: Math.floor(probes / perGroup) }, (_, group) => {
    const rows = Array.from({ length: perGroup * samples }, (_, i) => {
      const at = (group * perGroup * samples + i) * width;
      return u.subarray(at, at + width);
    });
    return choices.map((_, i) =>
      choices.map((_, j) => rows.reduce((sum, row) => sum + row[i] * row[j], 0) / rows.length),
    );
  });
}

/** |A - B| / |B|, Frobenius norms. */
export function relativeDistance(found, expected) {
  const entries = expected.flat();
  const squares = (values) => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(found.flat().map((value, i) => value - entries[i])) / squares(entries));
}
