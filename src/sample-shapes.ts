import type { Dataset } from "./data/dataset.js";
import { staticShapes } from "./onnx/infer/static-shapes.js";
import type { Control } from "./progress.js";
import { withinMemory } from "./within-memory.js";
import type { Workspace } from "./workspace.js";

/** Shapes of tensors for the first sample of the search split. */
export async function sampleShapes(
  { dataset, engine, model }: Pick<Workspace, "dataset" | "engine" | "model">,
  tensors: readonly string[],
  { signal }: Control,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const values = [...new Set(tensors)];
  const isKnown = (shapes: ReadonlyMap<string, unknown>) => values.every((name) => shapes.has(name));
  // Where all samples have one shape, none has to be read: a picture would have to be decoded.
  const common = staticShapes(model, sizesOfOne(dataset));
  if (isKnown(common)) return common;
  const shapes = new Map<string, readonly number[]>();
  for await (const { feeds } of dataset.batches(dataset.splits.search.slice(0, 1), 1, { signal })) {
    const inferred = staticShapes(model, new Map(Object.entries(feeds).map(([name, { dims }]) => [name, dims])));
    // A run has to hold the whole model.
    if (isKnown(inferred)) return inferred;
    await withinMemory(engine, 1, () => engine.run(feeds, { values, signal }));
    for (const name of values) shapes.set(name, (await engine.graph.shape(engine.value(name))).dims);
  }
  return shapes;
}

/** What the data set says about a batch of one sample. */
function sizesOfOne({ inputs, transductive, size }: Dataset): Map<string, (number | undefined)[]> {
  const rows = transductive ? size : 1;
  return new Map(
    inputs.map(({ name, dims, batchAxis }) => [
      name,
      dims.map((length, axis) => (axis === batchAxis ? rows : (length ?? undefined))),
    ]),
  );
}
