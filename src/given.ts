import type { Backend } from "./backend/backend.js";
import type { Dataset } from "./data/dataset.js";
import { BitwrightError } from "./errors.js";
import type { OnnxModel } from "./onnx/model.js";
import type { Tensor } from "./tensor.js";
import type { Workspace } from "./workspace.js";

// Programs without types, or with an await too few, hand over other things than these functions take. They are told which, and where it comes from.

interface Kind {
  readonly expected: string;
  readonly is: (value: unknown) => boolean;
}

const kinds = {
  backend: {
    expected: "a backend, as loadBackend or createWasmBackend gives it",
    is: (value) => has<Backend>(value, "callAsync"),
  },
  model: {
    expected: "a model, as readModel or readModelFile gives it",
    is: (value) => has<OnnxModel>(value, "proto") && has<OnnxModel>(value, "graph"),
  },
  dataset: {
    expected: "a data set, as openDataset, datasetFrom or datasetFromFiles gives it",
    is: (value) => has<Dataset>(value, "batches"),
  },
  workspace: {
    expected: "a workspace, as openWorkspace gives it",
    is: (value) => has<Workspace>(value, "simulator"),
  },
  analysis: {
    expected: "an analysis, as analyze, readAnalysis or parseAnalysis gives it",
    is: (value) => has(value, "criteria") && has(value, "binding"),
  },
  binding: {
    expected: "a binding, as bindingOf gives it",
    is: (value) => has(value, "judged") && has(value, "options"),
  },
  layout: {
    expected: "a layout, as a target or the outcome of a search gives it",
    is: (value) => has(value, "weights") && has(value, "edges"),
  },
  options: { expected: "an object", is: (value) => isObject(value) && !("then" in value) },
  map: { expected: "a Map", is: (value) => value instanceof Map },
  tensor: {
    expected: "a tensor: dtype, dims and data",
    is: (value) => has<Tensor>(value, "dtype") && has<Tensor>(value, "data"),
  },
  list: { expected: "a list", is: Array.isArray },
  path: { expected: "the path of a file", is: (value) => typeof value === "string" && value !== "" },
  bytes: { expected: "a Uint8Array", is: (value) => value instanceof Uint8Array },
  floats: { expected: "a Float32Array", is: (value) => value instanceof Float32Array },
  integers: { expected: "an Int32Array", is: (value) => value instanceof Int32Array },
} as const satisfies Record<string, Kind>;

/**
 * Refuses an argument that is of another kind than its parameter's type says.
 * @param name - The parameter's.
 * @throws BitwrightError `invalid-option`.
 */
export function demand(kind: keyof typeof kinds, value: unknown, name: string = kind): void {
  const { expected, is }: Kind = kinds[kind];
  if (is(value)) return;
  throw new BitwrightError("invalid-option", "not a usable argument", { where: name, expected, received: say(value) });
}

/** Refuses members of options that are not among the known ones: a misspelt option must not be ignored. */
export function demandKnown(options: object, known: Readonly<Record<string, true>>): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  throw new BitwrightError("invalid-option", "there is no such option", {
    where: unknown,
    expected: Object.keys(known).join(", "),
  });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function has<T extends object>(value: unknown, key: keyof T & string): boolean {
  return isObject(value) && key in value;
}

function say(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (!isObject(value)) return String(value);
  if (value instanceof Promise) return "a promise that was not awaited";
  const { name } = value.constructor ?? {};
  const keys = Object.keys(value);
  if (name !== undefined && name !== "Object") return `an instance of ${name}`;
  return keys.length === 0 ? "an empty object" : `an object with ${keys.slice(0, 8).join(", ")}`;
}
