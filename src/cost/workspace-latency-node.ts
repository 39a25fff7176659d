import type { Range } from "../export/layout.js";
import type { SessionOptions } from "../export/session-node.js";
import type { Control } from "../progress.js";
import type { Tensor } from "../tensor.js";
import type { Workspace } from "../workspace.js";
import type { LatencyModel } from "./latency-model.js";
import { measureLatencyModel } from "./latency-model-node.js";

/**
 * Measures the latency model of a workspace's model, for one sample and all choices that its options allow.
 * @param ranges - Of the tensors that the target observes.
 * @throws BitwrightError `runtime-missing`, `aborted`.
 */
export function measureWorkspaceLatency(
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
  return measureLatencyModel({ model, target, layers, ranges }, valuesOf, options);
}
