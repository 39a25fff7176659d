import { BitwrightError } from "../errors.js";
import { type Arguments, checkArguments, checkVersion, engineError, type FunctionName, signatures } from "./abi.js";
import type { Backend } from "./backend.js";
import { bytesOf } from "./elements.js";

/** A compiled `WebAssembly.Module`. */
export type WasmModule = object;

// The part of the WebAssembly namespace used here; TypeScript has it in the DOM library alone.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly RuntimeError: new (message: string) => Error;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  instantiate(module: WasmModule, imports: object): Promise<{ readonly exports: unknown }>;
};

type Engine = Record<FunctionName, (...args: number[]) => number> & {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(bytes: number): number;
  free(pointer: number): void;
  bw_abi_version(): number;
};

type Values = readonly (number | ArrayBufferView)[];

/** Of the 4 GB, the rest being for arrays that cross the boundary and for packed operands. */
const engineMemory = 3.5e9;

/** Milliseconds of work after which pending events (timers, signals, messages) are let through. */
const yieldAfter = 50;

/**
 * Instantiates the engine's WebAssembly module, given compiled or as bytes. Every backend is an engine of its own with its own memory of up to
 * 4 GB. Needs SIMD and exception handling, as Node, browsers and Deno have them.
 *
 * @throws BitwrightError `backend-unavailable` when the module cannot run here.
 */
export async function createWasmBackend(source: WasmModule | Uint8Array): Promise<Backend> {
  const engine = await instantiate(source);
  checkVersion(engine.bw_abi_version());
  return new WasmBackend(engine);
}

async function instantiate(source: WasmModule | Uint8Array): Promise<Engine> {
  try {
    const module = source instanceof Uint8Array ? await WebAssembly.compile(source) : source;
    const { exports } = await WebAssembly.instantiate(module, {
      env: { emscripten_notify_memory_growth: () => {} },
      wasi_snapshot_preview1: {
        proc_exit: (code: number) => {
          throw new WebAssembly.RuntimeError(`exit ${code}`);
        },
      },
    });
    const engine = exports as Engine;
    engine._initialize();
    return engine;
  } catch (cause) {
    throw new BitwrightError("backend-unavailable", "The WebAssembly module cannot run here", {
      expected: "the bitwright.wasm of this version, and a runtime with WebAssembly SIMD and exception handling",
      received: String(cause),
      cause,
    });
  }
}

class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly memory = engineMemory;
  readonly #engine: Engine;
  /** Set when the engine trapped: its memory cannot be trusted after that. */
  #trap: unknown;
  #lastYield = performance.now();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  call<F extends FunctionName>(name: F, ...args: Arguments<F>): void {
    const status = this.#run(name, args);
    if (status !== 0) throw engineError(status, this.#lastError());
  }

  async callAsync<F extends FunctionName>(name: F, ...args: Arguments<F>): Promise<void> {
    try {
      this.call(name, ...args);
    } finally {
      if (performance.now() - this.#lastYield > yieldAfter) {
        await new Promise((resolve) => setTimeout(resolve));
        this.#lastYield = performance.now();
      }
    }
  }

  /** Copies the arrays in, calls, and copies the `out` ones back. */
  #run(name: FunctionName, args: Values): number {
    if (this.#trap !== undefined) throw stopped(this.#trap);
    checkArguments(name, args);
    const parameters: readonly string[] = signatures[name];
    const pointers: number[] = [];
    try {
      const values = args.map((value) => {
        if (typeof value === "number") return value;
        const pointer = this.#copyIn(value);
        pointers.push(pointer);
        return pointer;
      });
      const status = this.#engine[name](...values);
      for (const [i, value] of args.entries()) {
        if (typeof value !== "number" && parameters[i]!.startsWith("out ")) this.#copyOut(values[i]!, value);
      }
      return status;
    } catch (error) {
      if (error instanceof BitwrightError) throw error;
      this.#trap = error;
      throw stopped(error);
    } finally {
      if (this.#trap === undefined) for (const pointer of pointers) this.#engine.free(pointer);
    }
  }

  #copyIn(array: ArrayBufferView): number {
    if (array.byteLength === 0) return 0;
    const pointer = this.#engine.malloc(array.byteLength) >>> 0;
    if (pointer === 0) {
      throw new BitwrightError("out-of-memory", "The WebAssembly engine's 4 GB are used up", {
        received: `a request for ${array.byteLength} bytes`,
        remedy: "Use smaller batches, or the native backend.",
      });
    }
    this.#memory(pointer, array).set(bytesOf(array));
    return pointer;
  }

  #copyOut(pointer: number, array: ArrayBufferView): void {
    if (array.byteLength > 0) bytesOf(array).set(this.#memory(pointer, array));
  }

  /** A view for immediate use: the memory's buffer is replaced whenever it grows. */
  #memory(pointer: number, { byteLength }: ArrayBufferView): Uint8Array {
    return new Uint8Array(this.#engine.memory.buffer, pointer, byteLength);
  }

  #lastError(): string {
    const length = new Float64Array(1);
    this.#run("bw_last_error", [new Uint8Array(0), 0, length]);
    const text = new Uint8Array(length[0]!);
    this.#run("bw_last_error", [text, text.length, length]);
    return new TextDecoder().decode(text);
  }
}

function stopped(cause: unknown): BitwrightError {
  return new BitwrightError("engine-failure", "The WebAssembly engine stopped after an internal failure", {
    received: String(cause),
    remedy: "Create a new backend.",
    cause,
  });
}
