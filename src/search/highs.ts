import type { Highs } from "highs";
import type { WasmModule } from "../backend/wasm.js";
import { BitwrightError } from "../errors.js";

let wasm: WasmModule | Uint8Array | undefined;
let loading: Promise<Highs> | undefined;

/**
 * Gives the solver its WebAssembly (the file `highs/runtime`), compiled or as bytes, where it cannot be found beside the solver's own module: in
 * runtimes that neither read files nor fetch what a bundler has put aside.
 */
export function provideSolver(source: WasmModule | Uint8Array): void {
  wasm = source;
  loading = undefined;
}

/**
 * HiGHS, loaded when it is first needed. Among the solvers that run from WebAssembly under a free license it is the one that proves optimality for
 * hundreds of groups within seconds.
 * @throws BitwrightError `backend-unavailable`.
 */
export function loadSolver(): Promise<Highs> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined;
    throw new BitwrightError("backend-unavailable", "the solver HiGHS cannot be loaded", {
      received: String(cause),
      remedy: "Give the file highs/runtime of the package highs to provideSolver",
      cause,
    });
  });
  return loading;
}

// The part of the WebAssembly namespace used here; TypeScript has it in the DOM library alone.
declare const WebAssembly: {
  readonly Instance: new (module: WasmModule, imports: object) => object;
  compile(bytes: Uint8Array): Promise<WasmModule>;
};

/** Its types describe a CommonJS module; what is imported is an ES module. */
interface SolverModule {
  readonly default: (options?: LoaderOptions) => Promise<Highs>;
}

/** Of Emscripten's loader; `wasmBinary` and `wasmModule`, which the solver's types have instead, are ignored by it. */
interface LoaderOptions {
  /** Takes the instance in place of one that the loader would make. */
  instantiateWasm(imports: object, receive: (instance: object) => void): void;
}

async function load(): Promise<Highs> {
  const { default: start } = (await import("highs")) as unknown as SolverModule;
  if (wasm === undefined) return start();
  const module = wasm instanceof Uint8Array ? await WebAssembly.compile(wasm) : wasm;
  return start({ instantiateWasm: (imports, receive) => receive(new WebAssembly.Instance(module, imports)) });
}
