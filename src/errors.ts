/**
 * What went wrong, as a literal that programs can switch on.
 *
 * - `invalid-model`: the bytes are not a usable ONNX model (truncated, cyclic, wrong types).
 * - `unsupported-op`: the engine has no rule for one or more nodes; the message names every one.
 * - `invalid-data`: a manifest or a data file is wrong, or does not fit the model.
 * - `invalid-option`: an option or a command-line argument is out of range or unknown.
 * - `stale-analysis`: a saved analysis belongs to another model, data set or option set.
 * - `infeasible`: no configuration meets the limits; the best one found is still delivered.
 * - `verification-failed`: the exported file does not do what the plan says.
 * - `backend-unavailable`: the asked backend cannot be loaded.
 * - `runtime-missing`: a step needs onnxruntime-node (or another optional package), which is not installed.
 * - `out-of-memory`: the work does not fit the memory that is there or allowed.
 * - `engine-failure`: the engine refused a request; a defect of bitwright or of a caller of its low-level interface.
 * - `io`: a file could not be read or written.
 * - `aborted`: an `AbortSignal` fired.
 */
export type ErrorCode =
  | "invalid-model"
  | "unsupported-op"
  | "invalid-data"
  | "invalid-option"
  | "stale-analysis"
  | "infeasible"
  | "verification-failed"
  | "backend-unavailable"
  | "runtime-missing"
  | "out-of-memory"
  | "engine-failure"
  | "io"
  | "aborted";

/** The parts of an error message: what was wrong, and the way out. */
export interface ErrorDetails {
  /** What would have been right. */
  readonly expected?: string;
  /** What came instead. */
  readonly received?: string;
  /** File, node, tensor or option concerned. */
  readonly where?: string;
  /** What the user can do about it. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** The only class of error that bitwright throws on purpose. */
export class BitwrightError extends Error {
  readonly code: ErrorCode;
  /** What was wrong, without the details that `message` adds. */
  readonly summary: string;
  readonly expected: string | undefined;
  readonly received: string | undefined;
  readonly where: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, summary: string, details: ErrorDetails = {}) {
    super(compose(summary, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "BitwrightError";
    this.code = code;
    this.summary = summary;
    this.expected = details.expected;
    this.received = details.received;
    this.where = details.where;
    this.remedy = details.remedy;
  }
}

function compose(summary: string, { expected, received, where, remedy }: ErrorDetails): string {
  const parts = [where === undefined ? summary : `${where}: ${summary}`];
  if (expected !== undefined) parts.push(`expected ${expected}`);
  if (received !== undefined) parts.push(`received ${received}`);
  const sentence = parts.join("; ");
  return remedy === undefined ? sentence : `${sentence}. ${remedy}`;
}
