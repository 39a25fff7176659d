import { inspect } from "node:util";
import { BitwrightError } from "../errors.js";

/** What a process that failed this way returns to the shell. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof BitwrightError)) return 1;
  if (error.code === "invalid-option") return 2;
  return error.code === "infeasible" ? 3 : 1;
}

/** A failure as a block of text for people; with BITWRIGHT_DEBUG set, with stack and causes. */
export function explainFailure(error: unknown): string {
  if (process.env.BITWRIGHT_DEBUG) return inspect(error);
  if (!(error instanceof BitwrightError)) {
    return `error[internal] ${error instanceof Error ? error.message : String(error)}
  this is a defect of bitwright; BITWRIGHT_DEBUG=1 shows where it came from`;
  }
  const { code, where, summary, expected, received, remedy } = error;
  const details = Object.entries({ expected, received, remedy }).filter(([, text]) => text !== undefined);
  return [
    `error[${code}] ${where === undefined ? "" : `${where}: `}${summary}`,
    ...details.map(([name, text]) => `  ${name.padEnd(8)}  ${text!.replaceAll("\n", "\n            ")}`),
  ].join("\n");
}
