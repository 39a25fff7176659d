import { BitwrightError } from "../errors.js";

export type OnnxRuntime = typeof import("onnxruntime-node");

/**
 * onnxruntime-node, which is an optional peer dependency.
 * @throws BitwrightError `runtime-missing` when it is not installed or does not load.
 */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  // Its builds from 1.30 on report to a server and leave files among the system's temporary ones, unless told not to before they load.
  process.env.ORT_DISABLE_TELEMETRY ??= "1";
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    throw new BitwrightError("runtime-missing", "onnxruntime-node cannot be loaded", {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Install it: ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node",
      cause,
    });
  }
}
