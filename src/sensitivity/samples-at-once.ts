import { Graph } from "../onnx/graph.js";
import { nodeReads } from "../onnx/traverse.js";
import type { Workspace } from "../workspace.js";

/**
 * How many samples go through the network together where derivatives are taken: one if a table is read alike for all of them, as that of positions,
 * since what each sample does to it is only told apart behind the sum over them.
 */
export function samplesAtOnce({
  dataset,
  model,
  layers,
  options,
}: Pick<Workspace, "dataset" | "model" | "layers" | "options">): number {
  const varies = new Set(dataset.inputs.filter(({ batchAxis }) => batchAxis !== undefined).map(({ name }) => name));
  for (const node of new Graph(model).nodes) {
    const readsShape = node.opType === "Shape" || node.opType === "Size";
    if (readsShape || ![...nodeReads(node)].some((name) => varies.has(name))) continue;
    for (const name of node.output) varies.add(name);
  }
  const isShared = layers.some(
    ({ inputs, output, choices }) => inputs.length === 0 && choices.length > 1 && !varies.has(output),
  );
  return isShared ? 1 : options.batchSize;
}
