import { basename } from "node:path";
import type { InferenceSession, Tensor as OnnxValue } from "onnxruntime-node";
import { BitwrightError } from "../errors.js";
import type { Feeds, Tensor, TensorOf } from "../tensor.js";
import { narrowFloats, widenFloats } from "./narrow-floats.js";
import { loadOnnxRuntime } from "./onnxruntime-node.js";

/** An ONNX file, as a path or as its bytes. */
export type ModelSource = string | Uint8Array;

export interface SessionOptions {
  /** Threads inside an operator; the runtime's own choice when absent. */
  readonly threads?: number;
  /** Lets its threads sleep as soon as a run ends: threads that wait awake for the next one slow down other sessions that take turns with it. */
  readonly takesTurns?: boolean;
}

/** An onnxruntime session on the CPU with default options: every graph optimization on, as users run it. */
export interface Session {
  /**
   * Runs the model. float16 goes in and comes out as float32.
   * @throws BitwrightError `invalid-data` when the feeds do not fit the model.
   */
  run(feeds: Feeds): Promise<Record<string, Tensor>>;
  /** Frees the runtime's memory, which the garbage collector does not see. */
  release(): Promise<void>;
}

/**
 * Opens a session.
 * @param optimizedModelPath - Where to write the graph that the runtime made of the model, with large weights in a second file.
 * @throws BitwrightError `runtime-missing`; `invalid-model` when the runtime does not take the model.
 */
export async function openSession(
  model: ModelSource,
  options: SessionOptions = {},
  optimizedModelPath?: string,
): Promise<Session> {
  const runtime = await loadOnnxRuntime();
  const session = await createSession(runtime.InferenceSession, model, {
    executionProviders: ["cpu"],
    // Errors only: warnings go to the terminal, and an optimized model that is written brings one each time.
    logSeverityLevel: 3,
    ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    extra: {
      session: {
        ...(options.takesTurns === true && { force_spinning_stop: "1" }),
        // In one file the runtime cannot write more than 2 GB.
        ...(optimizedModelPath !== undefined && {
          optimized_model_external_initializers_file_name: `${basename(optimizedModelPath)}.data`,
          optimized_model_external_initializers_min_size_in_bytes: "1024",
        }),
      },
    },
    ...(optimizedModelPath === undefined ? {} : { optimizedModelFilePath: optimizedModelPath }),
  });
  const halves = new Set(
    session.inputMetadata.filter((input) => input.isTensor && input.type === "float16").map(({ name }) => name),
  );
  return {
    async run(feeds) {
      try {
        const inputs = Object.entries(feeds).map(([name, tensor]) => {
          const { dtype, data, dims } = tensor;
          const half = halves.has(name) && dtype === "float32";
          return [
            name,
            half ? new runtime.Tensor("float16", narrowed(tensor), dims) : new runtime.Tensor(dtype, data, dims),
          ];
        });
        const outputs = await session.run(Object.fromEntries(inputs));
        return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, asTensor(tensor)]));
      } catch (cause) {
        throw refused("invalid-data", "onnxruntime cannot run the model on these inputs", cause);
      }
    },
    release: () => session.release(),
  };
}

function narrowed({ data }: TensorOf<"float32">): Uint16Array {
  return narrowFloats(data, "fp16") as Uint16Array;
}

function asTensor({ type, dims, data }: OnnxValue): Tensor {
  if (type !== "float16") return { dtype: type, dims, data } as Tensor;
  // Float16Array where JavaScript has it.
  const { buffer, byteOffset, length } = data as Uint16Array;
  return { dtype: "float32", dims, data: widenFloats(new Uint16Array(buffer, byteOffset, length), "fp16") };
}

async function createSession(
  factory: typeof InferenceSession,
  model: ModelSource,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  try {
    return typeof model === "string" ? await factory.create(model, options) : await factory.create(model, options);
  } catch (cause) {
    throw refused("invalid-model", "onnxruntime does not take the model", cause);
  }
}

function refused(code: "invalid-model" | "invalid-data", summary: string, cause: unknown): BitwrightError {
  return new BitwrightError(code, summary, { received: cause instanceof Error ? cause.message : String(cause), cause });
}
