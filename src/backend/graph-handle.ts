import { throwIfAborted } from "../abort.js";
import { BitwrightError } from "../errors.js";
import type { Arguments, FunctionName } from "./abi.js";
import type { Backend } from "./backend.js";

/** The functions that take a graph first, and what they take after it. */
type GraphFunction = { [F in FunctionName]: Arguments<F> extends [number, ...unknown[]] ? F : never }[FunctionName];
type Rest<F extends FunctionName> = Arguments<F> extends [number, ...infer R] ? R : never;

interface Owned {
  readonly backend: Backend;
  readonly id: number;
}

/** Frees graphs that were dropped without dispose(). */
const dropped = new FinalizationRegistry(destroy);

function destroy({ backend, id }: Owned): void {
  try {
    backend.call("bw_graph_destroy", id);
  } catch {
    // Only an engine that stopped refuses this, and it holds nothing any more.
  }
}

/** A graph of the engine: owns it, and keeps calls on it from overlapping. */
export class GraphHandle {
  readonly #owned: Owned;
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(backend: Backend, id: number) {
    this.#owned = { backend, id };
    dropped.register(this, this.#owned, this);
  }

  /** Starts work when the work given before has ended. From then on an abort cancels the engine's call, even one that waits for a thread. */
  inTurn<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#disposed) {
      return Promise.reject(new BitwrightError("engine-failure", "The graph was used after dispose()"));
    }
    const cancel = () => this.call("bw_graph_cancel", 1);
    const result = this.#last.then(async () => {
      throwIfAborted(signal);
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        return await work();
      } finally {
        signal?.removeEventListener("abort", cancel);
        if (signal?.aborted) this.call("bw_graph_cancel", 0);
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }

  /** Calls a function on this graph. */
  call<F extends GraphFunction>(name: F, ...args: Rest<F>): void {
    this.#owned.backend.call(name, ...this.#withId(args));
  }

  /** Calls a function on this graph off the JavaScript thread. */
  callAsync<F extends GraphFunction>(name: F, ...args: Rest<F>): Promise<void> {
    return this.#owned.backend.callAsync(name, ...this.#withId(args));
  }

  /** Frees the graph when the work given before has ended. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#last;
    dropped.unregister(this);
    destroy(this.#owned);
  }

  #withId<F extends GraphFunction>(args: Rest<F>): Arguments<F> {
    return [this.#owned.id, ...(args as unknown[])] as Arguments<F>;
  }
}
