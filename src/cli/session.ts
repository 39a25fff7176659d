import type { Backend } from "../backend/backend.js";
import { loadBackend } from "../backend/load-node.js";
import { BitwrightError } from "../errors.js";
import { replaceTextFile } from "../io-node.js";
import type { Control } from "../progress.js";
import type { CommonOptions } from "./common-options.js";
import { ProgressDisplay } from "./progress-display.js";

/** What a command gives back. */
export interface Result {
  /** For standard output. */
  readonly text: string;
  /** For `--json`. */
  readonly data: unknown;
  /** Default 0. */
  readonly exitCode?: number;
}

/** What a command works with besides its options. */
export interface Session extends Required<Control> {
  readonly signal: AbortSignal;
  /** The engine that `--backend` asks for. */
  backend(): Promise<Backend>;
  /** Tells the user something on standard error. */
  note(line: string): void;
}

/**
 * Runs a command: shows its progress, turns the first Ctrl-C into an abort (a second one ends the process), prints its result and writes it
 * where `--json` says.
 */
export async function run(options: CommonOptions, command: (session: Session) => Promise<Result>): Promise<void> {
  const display = new ProgressDisplay(process.stderr, options.quiet ?? false);
  const abort = new AbortController();
  const stop = () => {
    display.note("stopping; what is done is kept (Ctrl-C again ends at once)");
    abort.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, stop);
  try {
    const result = await command({
      signal: abort.signal,
      onProgress: display.onProgress,
      note: (line) => display.note(line),
      backend: () => loadBackend(options.backend),
    });
    display.end();
    if (options.json === "-") process.stdout.write(jsonText(result.data));
    else if (!options.quiet) process.stdout.write(`${result.text}\n`);
    if (options.json !== undefined && options.json !== "-") await replaceTextFile(options.json, jsonText(result.data));
    process.exitCode = result.exitCode ?? 0;
  } catch (error) {
    // What was under way when the signal came may fail in its own words.
    if (abort.signal.aborted && !(error instanceof BitwrightError)) {
      throw new BitwrightError("aborted", "the work was stopped", { cause: error });
    }
    throw error;
  } finally {
    display.end();
    for (const name of ["SIGINT", "SIGTERM"] as const) process.removeListener(name, stop);
  }
}

export function jsonText(data: unknown): string {
  return `${JSON.stringify(data, null, 2)}\n`;
}
