import { throwIfAborted } from "../abort.js";
import { type ModelSource, openSession, type Session, type SessionOptions } from "../export/session-node.js";
import type { Feeds } from "../tensor.js";

/** A model to time, with what it is run on. */
export interface Contestant {
  readonly model: ModelSource;
  readonly feeds: Feeds;
}

/** Sessions that are timed against each other in one process: load of the machine, which hits all of them, cancels out. */
export class Turns implements AsyncDisposable {
  readonly #runs: { readonly session: Session; readonly feeds: Feeds }[] = [];
  #round = 0;

  /** @throws BitwrightError `runtime-missing`; `invalid-model` when the runtime does not take a model. */
  static async open(contestants: readonly Contestant[], options: SessionOptions = {}): Promise<Turns> {
    const turns = new Turns();
    try {
      for (const { model, feeds } of contestants) {
        turns.#runs.push({ session: await openSession(model, { ...options, takesTurns: true }), feeds });
      }
    } catch (error) {
      await turns[Symbol.asyncDispose]();
      throw error;
    }
    return turns;
  }

  /**
   * Runs each once, starting from another one every round.
   * @returns The time of each, in milliseconds.
   */
  async round(signal?: AbortSignal): Promise<Float64Array> {
    const times = new Float64Array(this.#runs.length);
    for (let turn = 0; turn < times.length; turn++) {
      const which = (turn + this.#round) % times.length;
      const { session, feeds } = this.#runs[which]!;
      const start = performance.now();
      await session.run(feeds);
      times[which] = performance.now() - start;
    }
    this.#round++;
    throwIfAborted(signal);
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of this.#runs) await session.release();
  }
}
