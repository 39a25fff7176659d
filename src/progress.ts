import { throwIfAborted } from "./abort.js";

/** How far a stage of the work is. */
export interface Progress {
  /** Stage in words: "calibrate", "direct", "bisection", ... */
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  /** What the stage found last, for display. */
  readonly detail?: string;
}

/** How long work is watched and stopped. */
export interface Control {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Counts the steps of a stage and stops it when the signal fires. */
export class Stage {
  readonly #control: Control;
  readonly #name: string;
  readonly #total: number;
  #done = 0;

  constructor(control: Control, name: string, total: number) {
    this.#control = control;
    this.#name = name;
    this.#total = total;
    this.#report();
  }

  /** @throws BitwrightError `aborted` when the signal has fired. */
  step(detail?: string, steps = 1): void {
    this.#done += steps;
    this.#report(detail);
    throwIfAborted(this.#control.signal);
  }

  #report(detail?: string): void {
    this.#control.onProgress?.({
      stage: this.#name,
      done: this.#done,
      total: this.#total,
      ...(detail !== undefined && { detail }),
    });
  }
}
