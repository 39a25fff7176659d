import { BitwrightError } from "./errors.js";

/** Throws the `aborted` error when the signal has fired; its reason becomes the cause. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new BitwrightError("aborted", "The work was aborted", { cause: signal.reason });
}
