import { staticShapes } from "./onnx/infer/static-shapes.js";
import type { Control } from "./progress.js";
import type { Workspace } from "./workspace.js";

/** Shapes of tensors for the first sample of the search split. */
export async function sampleShapes(
  { dataset, engine, model }: Pick<Workspace, "dataset" | "engine" | "model">,
  tensors: readonly string[],
  { signal }: Control,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const values = [...new Set(tensors)];
  const shapes = new Map<string, readonly number[]>();
  for await (const { feeds } of dataset.batches(dataset.splits.search.slice(0, 1), 1, { signal })) {
    const inferred = staticShapes(model, new Map(Object.entries(feeds).map(([name, { dims }]) => [name, dims])));
    // A run has to hold the whole model.
    if (values.every((name) => inferred.has(name))) return inferred;
    await engine.run(feeds, { values, signal });
    for (const name of values) shapes.set(name, (await engine.graph.shape(engine.value(name))).dims);
  }
  return shapes;
}
