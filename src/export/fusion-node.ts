import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { demand } from "../given.js";
import type { OnnxModel } from "../onnx/model.js";
import { readModelFile } from "../onnx/model-node.js";
import { compareFusion, type FusionReport } from "./fusion.js";
import type { Layout } from "./layout.js";
import { openSession } from "./session-node.js";

/**
 * Lets onnxruntime optimize an exported model as a session with default options does, and compares what it made of the layers with
 * the layout.
 * @param model - The cleaned float model that the layout was made for.
 * @param path - The exported file.
 * @throws BitwrightError `runtime-missing`; `invalid-model` when the runtime does not take the file; `io`.
 */
export async function inspectFusion(model: OnnxModel, layout: Layout, path: string): Promise<FusionReport> {
  demand("model", model);
  demand("layout", layout);
  const folder = await mkdtemp(join(tmpdir(), "bitwright-"));
  try {
    const optimizedPath = join(folder, "optimized.onnx");
    const session = await openSession(path, {}, optimizedPath);
    await session.release();
    return compareFusion(model, layout, await readModelFile(path), await readModelFile(optimizedPath));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
