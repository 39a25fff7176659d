import type { Range } from "../export/layout.js";
import type { SessionOptions } from "../export/session-node.js";
import type { Control } from "../progress.js";
import type { Tensor } from "../tensor.js";
import type { Workspace } from "../workspace.js";
import { isTrusted, type LatencyModel, typicalError } from "./latency-model.js";
import { measureLatencyModel } from "./latency-model-node.js";

/** Load of the machine is what spoils a measurement, and passes. */
const mostAttempts = 3;

/**
 * Measures the latency model of a workspace's model, for one sample and all choices that its options allow.
 * @param ranges - Of the tensors that the target observes.
 * One that fails its own checks is measured again, and the best is what is returned.
 * @throws BitwrightError `runtime-missing`, `aborted`.
 */
export async function measureWorkspaceLatency(
  workspace: Pick<Workspace, "model" | "target" | "layers" | "dataset" | "engine" | "simulator">,
  ranges: ReadonlyMap<string, Range>,
  options: SessionOptions & Control = {},
): Promise<LatencyModel> {
  const { model, target, layers, dataset, engine, simulator } = workspace;
  const valuesOf = async (tensors: readonly string[]) => {
    const values = new Map<string, Tensor>();
    await simulator.apply({ weights: [], biases: [], edges: [] });
    for await (const { feeds } of dataset.batches(dataset.splits.calibration.slice(0, 1), 1, options)) {
      await engine.run(feeds, { values: tensors, signal: options.signal });
      for (const name of tensors) values.set(name, feeds[name] ?? (await engine.read(name)));
    }
    return values;
  };
  const models: LatencyModel[] = [];
  while (!models.some(isTrusted) && models.length < mostAttempts) {
    models.push(await measureLatencyModel({ model, target, layers, ranges }, valuesOf, options));
  }
  const errorOf = (latency: LatencyModel) => typicalError(latency) ?? 0;
  return models.reduce((best, other) => (errorOf(other) < errorOf(best) ? other : best));
}
