import { sizeUnits } from "../amount.js";
import { BitwrightError, type ErrorCode } from "../errors.js";

/** An array seen as [outer, axis, inner], and which of its elements share a quantizer: outer, axis, inner, layout, block. */
const view = ["size", "size", "size", "i32", "size"] as const;

/**
 * The functions of native/abi.h and the types of their parameters, in order: a number, an array that the engine reads (`f32[]`), or one
 * that it writes or adds to (`out f32[]`). The header says what each means. Adapters marshal by this table; TypeScript checks calls by it.
 */
export const signatures = {
  bw_last_error: ["out u8[]", "size", "out size[]"],
  bw_ops: ["out u8[]", "size", "out size[]"],
  bw_targets: ["out u8[]", "size", "out size[]"],

  bw_graph_create: ["u8[]", "size", "i32", "i32", "size", "u8[]", "size", "out u32[]"],
  bw_graph_destroy: ["u32"],
  bw_graph_cancel: ["u32", "i32"],
  bw_graph_describe: ["u32", "out u8[]", "size", "out size[]"],
  bw_graph_set_input: ["u32", "i32", "i32", "i64[]", "i32", "u8[]", "size"],
  bw_graph_set_constant: ["u32", "i32", "f32[]", "size"],
  bw_graph_set_edges: ["u32", "i32[]", "i32[]", "f32[]", "i32[]", "i32[]", "i32[]", "i32"],
  bw_graph_forward: ["u32", "i32", "i32[]", "i32"],
  bw_graph_forget: ["u32"],
  bw_graph_memory: ["u32", "out size[]", "out size[]"],
  bw_graph_shape: ["u32", "i32", "out i32[]", "out i32[]", "out i64[]"],
  bw_graph_read: ["u32", "i32", "i32", "i32", "out u8[]", "size"],
  bw_graph_loss: ["u32", "i32", "i32", "u8[]", "size", "out f64[]", "size"],
  bw_graph_gradient: ["u32", "i32[]", "i32", "i32"],
  bw_graph_set_sites: ["u32", "i32[]", "i32", "i32[]", "i32[]", "i32", "i32", "i32", "size", "size"],
  bw_graph_set_direction: ["u32", "i32", "i32", "f32[]", "size"],
  bw_graph_tangent: ["u32"],
  bw_graph_hessian: ["u32", "i32", "out f64[]", "size"],
  bw_graph_set_errors: ["u32", "i32[]", "i32[]", "i32[]", "i32"],
  bw_graph_set_error_data: ["u32", "i32", "f32[]", "size"],
  bw_graph_set_error_grid: ["u32", "i32", "f32", "i32", "i32", "i32"],
  bw_graph_set_error_variance: ["u32", "i32", "f64", "f64"],
  bw_graph_project: ["u32", "i32", "i32", "size", "size", "out f64[]", "size"],
  bw_graph_project_squares: ["u32", "out f64[]", "size"],
  bw_graph_aim: ["u32", "i32[]", "i32"],
  bw_graph_interactions: ["u32", "out f64[]", "size"],
  bw_graph_ranges: ["u32", "i32[]", "i32", "out f64[]"],
  bw_graph_histogram: ["u32", "i32", "f32", "f32", "out f64[]", "i32"],
  bw_graph_errors: ["u32", "i32", "f32[]", "i32[]", "i32[]", "i32[]", "i32", "out f64[]"],

  bw_fake_quantize: ["f32[]", ...view, "f32[]", "i32[]", "size", "i32", "i32", "out f32[]"],
  bw_quantize: ["f32[]", ...view, "f32[]", "i32[]", "size", "i32", "i32", "out i32[]"],
  bw_quantization_error: [
    "f32[]",
    "f32[]",
    "size",
    ...view,
    "f32[]",
    "i32[]",
    "size",
    "size",
    "i32",
    "i32",
    "out f64[]",
  ],
  bw_search_scale: [
    "f32[]",
    "f32[]",
    "size",
    ...view,
    "size",
    "i32",
    "f64",
    "i32",
    "i32",
    "i32",
    "out f32[]",
    "out i32[]",
  ],
} as const satisfies Record<string, readonly Parameter[]>;

export type FunctionName = keyof typeof signatures;

interface Arrays {
  u8: Uint8Array;
  i32: Int32Array;
  u32: Uint32Array;
  i64: BigInt64Array;
  f32: Float32Array;
  f64: Float64Array;
  size: Float64Array;
}

type Scalar = "i32" | "u32" | "f32" | "f64" | "size";
/** The type of one parameter: a {@link Scalar}, or an array of elements that the function reads or (`out`) writes. */
export type Parameter = Scalar | `${keyof Arrays}[]` | `out ${keyof Arrays}[]`;

type Argument<P> = P extends `out ${infer T extends keyof Arrays}[]`
  ? Arrays[T]
  : P extends `${infer T extends keyof Arrays}[]`
    ? Arrays[T]
    : number;

/** The arguments of a function of the engine. */
export type Arguments<F extends FunctionName> = ArgumentsOf<(typeof signatures)[F]>;
type ArgumentsOf<P extends readonly Parameter[]> = { -readonly [I in keyof P]: Argument<P[I]> };

const arrays: { readonly [T in keyof Arrays]: new () => Arrays[T] } = {
  u8: Uint8Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
  size: Float64Array,
};

/**
 * Refuses arguments that are not of the types that a function of the engine declares, before anything of them is read.
 * @throws BitwrightError `engine-failure`.
 */
export function checkArguments(name: FunctionName, args: readonly unknown[]): void {
  for (const [i, parameter] of signatures[name].entries()) {
    const value = args[i];
    if (isOf(parameter, value)) continue;
    throw new BitwrightError("engine-failure", "The engine was given something else than it takes", {
      where: `${name}, argument ${i + 1}`,
      expected: parameter,
      received: ArrayBuffer.isView(value) ? value.constructor.name : String(value),
    });
  }
}

function isOf(parameter: Parameter, value: unknown): boolean {
  const element = /(?:out )?(\w+)\[\]/.exec(parameter)?.[1];
  if (element !== undefined) return value instanceof arrays[element as keyof Arrays];
  if (typeof value !== "number") return false;
  if (parameter === "f32" || parameter === "f64") return true;
  return Number.isSafeInteger(value) && (parameter === "i32" || value >= 0);
}

/** The version of abi.h that {@link signatures} describe. */
export const abiVersion = 5;

/** Refuses a build of the engine that speaks another version of the boundary. */
export function checkVersion(version: number): void {
  if (version === abiVersion) return;
  throw new BitwrightError("backend-unavailable", "The engine's build does not belong to this version of bitwright", {
    expected: `boundary version ${abiVersion}`,
    received: `${version}`,
    remedy: "Build or install the package again.",
  });
}

const codes: Record<number, ErrorCode> = {
  1: "engine-failure",
  2: "invalid-model",
  3: "unsupported-op",
  4: "out-of-memory",
  5: "aborted",
};

/** What the engine refused because it may not hold so much. */
export class MemoryRefusal extends BitwrightError {
  /** Bytes that it is known to need; undefined where nothing is. */
  readonly #needed: number | undefined;

  constructor(summary: string, where: string | undefined, needed: number | undefined, enough: boolean) {
    super("out-of-memory", summary, {
      ...(where !== undefined && { where }),
      ...(needed !== undefined && { expected: `${enough ? "about" : "at least"} ${sizeOf(needed)}` }),
    });
    this.#needed = needed;
  }

  /** The same refusal with an estimate of what would be enough, where that is more than what is known. */
  orAbout(bytes: number): MemoryRefusal {
    return bytes > (this.#needed ?? 0) ? new MemoryRefusal(this.summary, this.where, bytes, true) : this;
  }
}

/** A size that `--memory` takes, rounded up. */
function sizeOf(bytes: number): string {
  const name = bytes < 1e6 ? "kB" : bytes < 1e9 ? "MB" : "GB";
  return `${Math.ceil((bytes / sizeUnits[name]!) * 100) / 100}${name}`;
}

/** The error for a status other than BW_OK; `details` is the JSON of bw_last_error. */
export function engineError(status: number, details: string): BitwrightError {
  const { message, where, needed, enough } = JSON.parse(details) as {
    message: string;
    where?: string;
    needed?: number;
    enough?: boolean;
  };
  const code = codes[status] ?? "engine-failure";
  if (code === "out-of-memory") return new MemoryRefusal(message, where, needed, enough ?? false);
  return new BitwrightError(code, message, where === undefined ? {} : { where });
}
