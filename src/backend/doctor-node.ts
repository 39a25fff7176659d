import { BitwrightError } from "../errors.js";
import { targets } from "./info.js";
import { type BackendName, loadBackend } from "./load-node.js";

/** The state of one thing that bitwright uses or can use. */
export interface Finding {
  readonly subject: string;
  readonly ok: boolean;
  /** What was found, or why it cannot be used. */
  readonly detail: string;
  /** One line that mends it. */
  readonly remedy?: string;
}

/** Looks at everything that bitwright loads: the engine in use, both backends, and the optional packages. */
export async function doctor(): Promise<Finding[]> {
  return [
    { subject: "Node.js", ok: true, detail: `${process.version} on ${process.platform}-${process.arch}` },
    await checkEngine("engine in use"),
    await checkEngine("native addon", "native"),
    await checkEngine("WebAssembly module", "wasm"),
    await checkPackage("onnxruntime-node", "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node"),
    await checkPackage("sharp", "npm install sharp"),
    await checkPackage("@huggingface/tokenizers", "npm install @huggingface/tokenizers"),
  ];
}

async function checkEngine(subject: string, name?: BackendName): Promise<Finding> {
  try {
    const backend = await loadBackend(name);
    const why = name === undefined && process.env.BITWRIGHT_BACKEND ? " (BITWRIGHT_BACKEND)" : "";
    return { subject, ok: true, detail: `${backend.name}${why}, kernels ${targets(backend).join(", ")}` };
  } catch (error) {
    if (!(error instanceof BitwrightError)) throw error;
    // Of an engine that cannot be loaded, what was received is the reason of every attempt.
    const detail = error.code === "backend-unavailable" ? error.received : undefined;
    return { subject, ok: false, detail: detail ?? error.message, ...(error.remedy && { remedy: error.remedy }) };
  }
}

/** `remedy` is the command that adds the package. */
async function checkPackage(name: string, remedy: string): Promise<Finding> {
  try {
    await import(name);
    return { subject: name, ok: true, detail: "installed" };
  } catch (error) {
    return { subject: name, ok: false, detail: (error as Error).message.split("\n", 1)[0]!, remedy };
  }
}
