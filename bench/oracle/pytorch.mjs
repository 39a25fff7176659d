// PyTorch's figures for a job: reference.py reads a folder with the job and answers in it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Graph } from "../../dist/onnx/graph.js";
import { writeJob } from "./job.mjs";

const script = join(dirname(fileURLToPath(import.meta.url)), "reference.py");

/**
 * What engineFigures() gives of the engine, in double precision.
 * @param kinks - Arguments of the nodes whose derivative jumps, as a run of the engine had them: where rounding has put one on the other side,
 *   neither is wrong, and PyTorch takes the engine's. By default it takes its own.
 * @param traces - Also gives the exact traces of each site's block of the Hessian, means over samples.
 */
export async function pytorchFigures(job, python, { kinks = [], traces = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "bitwright-oracle-"));
  try {
    const { model, feeds, labels, parameters, weights, edges, directions, eachLayer } = job;
    writeFileSync(join(folder, "signs.i8"), Buffer.concat(directions.map((signs) => Buffer.from(signs))));
    const names = weights.map(({ tensor }) => tensor);
    await writeJob(folder, { model, feeds, labels, kinks, parameters, weights: names, edges, eachLayer, traces });
    const { status, error } = spawnSync(python, [script, folder], { stdio: ["ignore", "inherit", "inherit"] });
    if (status !== 0) throw new Error(`${python} failed${error ? `: ${error.message}` : ""}`);
    return readFigures(job, folder, traces);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readFigures({ model, labels, parameters, weights, eachLayer }, folder, traces) {
  const {
    losses,
    together,
    joint,
    alone,
    traces: sums,
  } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  const constants = new Graph(model);
  const tensors = (file, names) => {
    const { buffer, byteOffset } = readFileSync(join(folder, file));
    let at = byteOffset;
    return names.map((name) => {
      const tensor = new Float64Array(buffer.slice(at, at + 8 * constants.constant(name).data.length));
      at += tensor.byteLength;
      return tensor;
    });
  };
  const names = weights.map(({ tensor }) => tensor);
  return {
    losses,
    gradients: tensors("gradients.f64", parameters),
    together: { forms: together, products: tensors("together.f64", names) },
    ...(eachLayer && { joint, alone: { forms: alone, products: tensors("alone.f64", names) } }),
    ...(traces && { traces: sums.map((trace) => trace / labels.length) }),
  };
}
