import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import type { Feeds, Tensor } from "../../src/tensor.js";

export interface RunOptions {
  /** Graph optimization of the session; `disabled` runs the nodes as they stand in the file. */
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /** Says nothing on a failure: for models that may be refused. */
  readonly quiet?: boolean;
}

/** Runs a model's bytes in onnxruntime on the CPU, one thread, and returns all outputs by name. */
export async function runOnnx(
  bytes: Uint8Array,
  feeds: Feeds,
  options: RunOptions = {},
): Promise<Record<string, Tensor>> {
  const session = await InferenceSession.create(bytes, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: options.optimization ?? "disabled",
    intraOpNumThreads: 1,
    logSeverityLevel: options.quiet === true ? 4 : 3,
  });
  try {
    const inputs = Object.entries(feeds).map(([name, { dtype, dims, data }]) => [
      name,
      new OrtTensor(dtype, data, dims),
    ]);
    const results = await session.run(Object.fromEntries(inputs));
    return Object.fromEntries(
      Object.entries(results).map(([name, { type, dims, data }]) => [
        name,
        { dtype: type, dims: [...dims], data } as Tensor,
      ]),
    );
  } finally {
    await session.release();
  }
}
