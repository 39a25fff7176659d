import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BitwrightError } from "../errors.js";
import type { Backend } from "./backend.js";
import { loadNative } from "./native-node.js";
import { createWasmBackend } from "./wasm.js";

export type BackendName = Backend["name"];

const files: Record<BackendName, string> = {
  native: fileURLToPath(new URL("../../build/Release/bitwright.node", import.meta.url)),
  wasm: fileURLToPath(new URL("../../wasm/bitwright.wasm", import.meta.url)),
};

const remedies: Record<BackendName, string> = {
  native: "To build the addon, install CMake and a C++ compiler and run npm rebuild bitwright.",
  wasm: "The module belongs to the package: install the package again.",
};

/**
 * Loads the engine: the backend asked for by `name`, or else by the environment variable BITWRIGHT_BACKEND (`native` or `wasm`); without either
 * the native one, or WebAssembly where that cannot be loaded.
 *
 * @throws BitwrightError `invalid-option` for an unknown name; `backend-unavailable` with the reason of every attempt.
 */
export async function loadBackend(name?: BackendName): Promise<Backend> {
  const failures: { name: BackendName; error: Error }[] = [];
  for (const candidate of candidates(name)) {
    try {
      return await load(candidate);
    } catch (error) {
      failures.push({ name: candidate, error: error as Error });
    }
  }
  throw new BitwrightError("backend-unavailable", "The engine cannot be loaded", {
    received: failures.map(({ name, error }) => `${name}: ${error.message.split("\n", 1)[0]}`).join("; "),
    remedy: failures.map(({ name }) => remedies[name]).join(" "),
    cause: failures[0]!.error,
  });
}

function candidates(name: BackendName | undefined): BackendName[] {
  const asked = name ?? (process.env.BITWRIGHT_BACKEND || undefined);
  if (asked === undefined) return ["native", "wasm"];
  if (asked === "native" || asked === "wasm") return [asked];
  throw new BitwrightError("invalid-option", "There is no such backend", {
    where: name === undefined ? "BITWRIGHT_BACKEND" : "backend",
    expected: "native or wasm",
    received: asked,
  });
}

async function load(name: BackendName): Promise<Backend> {
  if (!existsSync(files[name])) throw new Error("not built");
  return name === "native" ? loadNative(files.native) : createWasmBackend(readFileSync(files.wasm));
}
