import type { Backend } from "./backend/backend.js";
import { Graph as EngineGraph } from "./backend/graph.js";
import { layerMacs, workTensors } from "./cost/macs.js";
import { BitwrightError } from "./errors.js";
import { type UnsupportedOp, unsupportedOps } from "./evaluate/engine-model.js";
import { targets } from "./export/targets/index.js";
import { choiceKey } from "./formats.js";
import { demand } from "./given.js";
import { type KeptFloat, keptFloat } from "./kept-float.js";
import { type Change, cleanModel } from "./onnx/clean/index.js";
import { Graph } from "./onnx/graph.js";
import { staticShapes } from "./onnx/infer/static-shapes.js";
import type { OnnxModel } from "./onnx/model.js";
import { encodeProgram } from "./onnx/program.js";
import { declaredTypes } from "./onnx/value-types.js";
import { type Options, resolveOptions } from "./options.js";
import { type PassedOver, passedOver } from "./passed-over.js";
import { elementCount, type Feeds } from "./tensor.js";
import { type UndecidedBranch, undecidedBranches } from "./undecided-branches.js";

/** What a model is made of, before anything is decided. */
export interface Inspection {
  readonly version: 1;
  /** Of the file and its external data. */
  readonly bytes: number;
  readonly opset: number;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Operators as the file has them, the commonest first. */
  readonly ops: readonly { readonly op: string; readonly count: number }[];
  /** What can be quantized, in graph order, after the clean-up. */
  readonly layers: readonly InspectedLayer[];
  /** Stored floats that stay as they are whatever is chosen, by the reason, the most bytes first. */
  readonly keptFloat: readonly KeptFloat[];
  /** Products that are no layers, and why. */
  readonly passedOver: readonly PassedOver[];
  /** Multiply-accumulates of all layers for one sample; null when a size that is open decides. */
  readonly macs: number | null;
  /** What the engine lacks of the cleaned model. */
  readonly unsupported: readonly UnsupportedOp[];
  /** Of an `If` among these, what decides it: where data holds that constant, the branch that is taken stands in its place. */
  readonly undecided: readonly UndecidedBranch[];
  /** What the clean-up does before anything is quantized. */
  readonly changes: readonly Change[];
}

export interface Port {
  readonly name: string;
  /** Sizes, names of sizes, and null where nothing is known. */
  readonly dims: readonly (number | string | null)[] | null;
}

export interface InspectedLayer {
  readonly node: string;
  readonly op: string;
  /** Name of its initializer; null where two activations are multiplied. */
  readonly weight: string | null;
  /** Of the weight. */
  readonly dims: readonly number[];
  /** Of the float weight. */
  readonly bytes: number;
  /** For one sample; null when a size that is open decides. */
  readonly macs: number | null;
  /** What the target can make of it, as `weight/activation`. */
  readonly choices: readonly string[];
  /** Layers of one group take their formats together. */
  readonly group: string;
}

export interface InspectOptions extends Pick<Options, "target"> {
  /** Of the file and its external data. */
  readonly bytes: number;
  /** Sizes of dimensions that the model leaves open, by their names; an open first dimension is one sample. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Inputs that are fed the same in every run: they decide what an `If` takes. */
  readonly given?: Feeds | undefined;
}

/** Looks a model over without running it. What the engine lacks is collected, not thrown. */
export async function inspect(backend: Backend, original: OnnxModel, options: InspectOptions): Promise<Inspection> {
  demand("backend", backend);
  demand("model", original);
  demand("options", options);
  const { model, changes } = cleanModel(original, { given: options.given });
  const shapes = shapesOf(model, options.sizes ?? {});
  const planned = targets[resolveOptions({ target: options.target }).target].layers(model);
  const layers = planned.map((layer): InspectedLayer => {
    const { node, op, weight, choices, group } = layer;
    return {
      node,
      op,
      weight: weight?.initializer ?? null,
      dims: weight?.dims ?? [],
      bytes: weight === undefined ? 0 : 4 * elementCount(weight.dims),
      macs: workTensors(layer).every((tensor) => shapes.has(tensor)) ? layerMacs(layer, shapes) : null,
      choices: choices.map(choiceKey),
      group,
    };
  });
  return {
    version: 1,
    bytes: options.bytes,
    opset: new Graph(original).opset(),
    inputs: ports(original, "input"),
    outputs: ports(original, "output"),
    ops: countOps(original),
    layers,
    keptFloat: keptFloat(model, planned),
    passedOver: passedOver(model, planned),
    macs: layers.reduce<number | null>((sum, { macs }) => (sum === null || macs === null ? null : sum + macs), 0),
    unsupported: await unsupported(backend, model),
    undecided: undecidedBranches(new Graph(model), options.given ?? {}),
    changes,
  };
}

async function unsupported(backend: Backend, model: OnnxModel): Promise<UnsupportedOp[]> {
  const { program, nodes } = encodeProgram(model, { leaveOut: true });
  const graph = await EngineGraph.create(backend, program);
  try {
    return unsupportedOps(model, nodes, await graph.describe());
  } finally {
    await graph.dispose();
  }
}

function ports({ graph }: OnnxModel, kind: "input" | "output"): Port[] {
  const types = declaredTypes(graph);
  const constants = new Set(graph.initializer.map(({ name }) => name));
  return graph[kind]
    .filter(({ name }) => !constants.has(name))
    .map(({ name }) => ({ name, dims: types.get(name)?.dims?.map((dim) => dim ?? null) ?? null }));
}

function countOps({ graph }: OnnxModel): Inspection["ops"] {
  const counts = new Map<string, number>();
  for (const { opType } of graph.node) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  return [...counts].map(([op, count]) => ({ op, count })).sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1));
}

/** Shapes of the values that the sizes decide, for one sample. */
function shapesOf(model: OnnxModel, sizes: Readonly<Record<string, number>>): Map<string, readonly number[]> {
  const unknown = new Set(Object.keys(sizes));
  const inputs = new Map<string, (number | undefined)[]>();
  for (const { name, type } of model.graph.input) {
    if (type?.value.case !== "tensorType") continue;
    const dims = (type.value.value.shape?.dim ?? []).map(({ value }, axis) => {
      const open = value.case === "dimParam" ? value.value : undefined;
      if (open !== undefined) unknown.delete(open);
      if (value.case === "dimValue") return undefined;
      return (open === undefined ? undefined : sizes[open]) ?? (axis === 0 ? 1 : undefined);
    });
    inputs.set(name, dims);
  }
  if (unknown.size > 0) {
    throw new BitwrightError("invalid-option", "the model's inputs have no dimension of this name", {
      where: "size",
      received: [...unknown].join(", "),
    });
  }
  return staticShapes(model, inputs);
}
