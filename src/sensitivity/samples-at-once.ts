import { tensorRoles } from "../cost/partition.js";
import { Graph } from "../onnx/graph.js";
import type { Workspace } from "../workspace.js";

/**
 * How many samples go through the network together where derivatives are taken: one if a table is read alike for all of them, as that of positions,
 * since what each sample does to it is only told apart behind the sum over them.
 */
export function samplesAtOnce({ model, layers, options }: Pick<Workspace, "model" | "layers" | "options">): number {
  const roles = tensorRoles(new Graph(model), new Set());
  const isShared = layers.some(
    ({ inputs, output, choices }) =>
      inputs.length === 0 && choices.length > 1 && ["shape", "constant"].includes(roles.get(output)!),
  );
  return isShared ? 1 : options.batchSize;
}
