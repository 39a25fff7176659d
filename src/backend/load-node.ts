import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BitwrightError } from "../errors.js";
import type { Backend } from "./backend.js";
import { loadNative } from "./native-node.js";
import { createWasmBackend } from "./wasm.js";

export type BackendName = Backend["name"];

/** What became of the attempt to load one backend. */
export interface Attempt {
  readonly name: BackendName;
  /** The file it is loaded from. */
  readonly file: string;
  readonly error?: Error;
}

const files: Record<BackendName, string> = {
  native: fileURLToPath(new URL("../../build/Release/bitwright.node", import.meta.url)),
  wasm: fileURLToPath(new URL("../../wasm/bitwright.wasm", import.meta.url)),
};

const remedies: Record<BackendName, string> = {
  native: "To build the addon, install CMake and a C++ compiler and run npm rebuild bitwright.",
  wasm: "The module is part of the package: install the package again.",
};

/**
 * Loads the engine: the backend that is asked for by `name` or else by the environment variable BITWRIGHT_BACKEND (`native` or `wasm`), or
 * without either the native one, and WebAssembly where that cannot be loaded.
 *
 * @throws BitwrightError `invalid-option` for an unknown name, `backend-unavailable` with the reason of each attempt.
 */
export async function loadBackend(name?: BackendName): Promise<Backend> {
  const { backend, attempts } = await tryBackends(name);
  if (backend !== undefined) return backend;
  throw new BitwrightError("backend-unavailable", "The engine cannot be loaded", {
    received: attempts.map((attempt) => `${attempt.name}: ${attempt.error!.message.split("\n", 1)[0]}`).join("; "),
    remedy: attempts.map((attempt) => remedies[attempt.name]).join(" "),
    cause: attempts[0]!.error,
  });
}

/** Like {@link loadBackend}, but tells every attempt up to the one that succeeded. */
export async function tryBackends(name?: BackendName): Promise<{ backend?: Backend; attempts: Attempt[] }> {
  const attempts: Attempt[] = [];
  for (const candidate of candidates(name)) {
    const file = files[candidate];
    try {
      const backend = await load(candidate, file);
      attempts.push({ name: candidate, file });
      return { backend, attempts };
    } catch (error) {
      attempts.push({ name: candidate, file, error: error as Error });
    }
  }
  return { attempts };
}

function candidates(name: BackendName | undefined): BackendName[] {
  const asked = name ?? process.env.BITWRIGHT_BACKEND;
  if (asked === undefined || asked === "") return ["native", "wasm"];
  if (asked === "native" || asked === "wasm") return [asked];
  throw new BitwrightError("invalid-option", "There is no such backend", {
    expected: "native or wasm",
    received: asked,
    where: name === undefined ? "BITWRIGHT_BACKEND" : "backend",
  });
}

async function load(name: BackendName, file: string): Promise<Backend> {
  if (!existsSync(file)) throw new Error("not built");
  return name === "native" ? loadNative(file) : createWasmBackend(readFileSync(file));
}
