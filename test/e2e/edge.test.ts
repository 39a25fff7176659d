import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { writeDataset } from "../../examples/shapes/dataset.mjs";
import {
  analyze,
  bindingOf,
  createWasmBackend,
  datasetFromFiles,
  exportModel,
  openWorkspace,
  readModel,
  resolveOptions,
  searchPlan,
  writeModel,
} from "../../src/edge.js";
import { openSession } from "../../src/export/session-node.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bitwright-edge-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("quantizes a model from bytes to bytes", async () => {
  writeDataset(folder, { count: 240 });
  const bytes = (...path: string[]) => new Uint8Array(readFileSync(join(...path)));
  const files = Object.fromEntries(["images_u8.npy", "labels_u8.npy"].map((name) => [name, bytes(folder, name)]));

  const backend = await createWasmBackend(bytes(root, "wasm", "bitwright.wasm"));
  const dataset = await datasetFromFiles(readFileSync(join(folder, "dataset.json"), "utf8"), files);
  const model = readModel(bytes(root, "examples", "shapes", "shapes.onnx"));
  const options = resolveOptions({ samples: 8, threads: 1 });
  await using workspace = await openWorkspace(backend, model, dataset, options);
  const binding = await bindingOf(model, dataset, options);
  const analysis = await analyze(workspace, { criteria: ["direct"], binding });
  const { result, layout } = await searchPlan(workspace, analysis, { limits: { maxKl: 0.01 }, criterion: "direct" });
  const quantized = writeModel(exportModel(workspace.model, layout(result.assignment)));

  expect(result.verdict).toMatchObject({ feasible: true });
  expect(quantized.length).toBeLessThan(0.4 * writeModel(model).length);
  // The written model gives on the search samples what the engine's simulation of it gave.
  const session = await openSession(quantized);
  let right = 0;
  for await (const { feeds, labels } of dataset.batches("search", 16)) {
    const { data, dims } = (await session.run(feeds)).logits!;
    for (const [i, label] of labels!.entries()) {
      const row = [...(data as Float32Array).subarray(i * dims[1]!, (i + 1) * dims[1]!)];
      if (row.indexOf(Math.max(...row)) === label) right++;
    }
  }
  await session.release();
  const samples = dataset.splits.search.length;
  expect(Math.abs(right - result.verdict.metric * samples)).toBeLessThanOrEqual(1);
});
