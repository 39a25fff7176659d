import type { Arguments, FunctionName } from "./abi.js";

/**
 * The engine behind its boundary, as an addon or as WebAssembly. Both run the same sources; what works on one works on the other.
 *
 * A function's arrays are read and written in place. Failures are thrown as {@link BitwrightError}.
 */
export interface Backend {
  readonly name: "native" | "wasm";
  /** Most bytes that the tensors of one graph may hold, so that a run that is too large fails before the system's memory is used up. */
  readonly memory: number;
  /** Calls a function of native/abi.h on the current thread. */
  call<F extends FunctionName>(name: F, ...args: Arguments<F>): void;
  /**
   * Calls it off the JavaScript thread where the backend can; its arrays must be left alone until the promise settles.
   * On WebAssembly the call itself blocks, but pending events are let through after it.
   */
  callAsync<F extends FunctionName>(name: F, ...args: Arguments<F>): Promise<void>;
}
