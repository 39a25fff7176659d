import type { Analysis, Binding } from "./analysis.js";
import type { Backend } from "./backend/backend.js";
import { bindingOf } from "./binding.js";
import type { Dataset } from "./data/dataset.js";
import type { OnnxModel } from "./onnx/model.js";
import type { Options } from "./options.js";
import { openWorkspace, type Workspace } from "./workspace.js";

/**
 * Opens a workspace while the files of its data set are hashed.
 * @throws BitwrightError what `bindingOf` throws, and else what `openWorkspace` does.
 */
export async function openBound(
  backend: Backend,
  original: OnnxModel,
  dataset: Dataset,
  options: Options,
  known?: Analysis,
): Promise<{ readonly binding: Binding; readonly workspace: Workspace }> {
  const [binding, workspace] = await Promise.allSettled([
    bindingOf(original, dataset, options, known),
    openWorkspace(backend, original, dataset, options, known),
  ]);
  if (binding.status === "rejected") {
    if (workspace.status === "fulfilled") await workspace.value[Symbol.asyncDispose]();
    throw binding.reason;
  }
  if (workspace.status === "rejected") throw workspace.reason;
  return { binding: binding.value, workspace: workspace.value };
}
