import { throwIfAborted } from "../abort.js";
import { MemoryRefusal } from "../backend/abi.js";
import type { Backend } from "../backend/backend.js";
import { Graph } from "../backend/graph.js";
import type { GraphOptions, NodeInfo } from "../backend/graph-types.js";
import { modelInputs } from "../data/check-model.js";
import type { Outputs } from "../data/metrics/scorer.js";
import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import type { OnnxModel } from "../onnx/model.js";
import { type EncodedProgram, encodeProgram } from "../onnx/program.js";
import type { Feeds, Tensor } from "../tensor.js";
import { inferenceBytes } from "./inference-bytes.js";

/** A model inside the engine, addressed by the names of its tensors and nodes. */
export class EngineModel {
  readonly backend: Backend;
  readonly graph: Graph;
  /** Names of the model's outputs, in order. */
  readonly outputs: readonly string[];
  /** Whether runs that keep more than outputs compute it again where it is asked for: less memory and more time for the same results. */
  recomputes = false;
  readonly #model: OnnxModel;
  readonly #values: ReadonlyMap<string, number>;
  readonly #nodes: ReadonlyMap<string, number>;
  /** Initializers that are read from their file when the model runs; the engine then has the only copy. */
  readonly #leftOut: EncodedProgram["leftOut"];
  /** Those that the engine has not yet, or not any more. */
  readonly #missing: Set<string>;

  private constructor(
    backend: Backend,
    graph: Graph,
    model: OnnxModel,
    { tensors, nodes, leftOut }: Pick<EncodedProgram, "tensors" | "nodes" | "leftOut">,
  ) {
    this.backend = backend;
    this.graph = graph;
    this.#model = model;
    this.outputs = model.graph.output.map((output) => output.name);
    this.#values = new Map(tensors.map((name, id) => [name, id]));
    this.#nodes = new Map(nodes.map((name, id) => [name, id]));
    this.#leftOut = leftOut;
    this.#missing = new Set(leftOut.keys());
  }

  /**
   * @throws BitwrightError `unsupported-op` that names every node the engine lacks.
   */
  static async create(backend: Backend, model: OnnxModel, options: GraphOptions = {}): Promise<EngineModel> {
    demand("model", model);
    demand("options", options);
    checkInputs(model, options);
    const { program, ...names } = encodeProgram(model, { leaveOut: true });
    const graph = await Graph.create(backend, program, options).catch((error) => {
      throw withBudget(error, model, {});
    });
    const engine = new EngineModel(backend, graph, model, names);
    try {
      checkSupported(model, names.nodes, await graph.describe());
    } catch (error) {
      await engine.dispose();
      throw error;
    }
    return engine;
  }

  /** The engine's index of a tensor. */
  value(name: string): number {
    return found(this.#values, name, "tensor");
  }

  /** The engine's index of a node. */
  node(name: string): number {
    return found(this.#nodes, name, "node");
  }

  /** Runs the model; tensors named in `values` can be read afterwards, all of them with `keep`. */
  async run(
    feeds: Feeds,
    options: { values?: readonly string[]; keep?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const { values = [], keep = false, signal } = options;
    const recomputes = this.recomputes && (keep || values.length > 0);
    try {
      await this.#readMissing(signal);
      const inputs = new Map(Object.entries(feeds).map(([name, tensor]) => [this.value(name), tensor]));
      const kept = values.map((name) => this.value(name));
      await this.graph.run(inputs, recomputes ? { keep: "segments", signal } : { keep, signal, values: kept });
    } catch (error) {
      throw withBudget(error, this.#model, feeds);
    }
  }

  /** Replaces the elements of a float initializer from the next run on; `undefined` restores the model's own. */
  async setConstant(name: string, data: Float32Array | undefined): Promise<void> {
    if (data === undefined && this.#leftOut.has(name)) {
      this.#missing.add(name);
      return;
    }
    await this.graph.setConstant(this.value(name), data);
    this.#missing.delete(name);
  }

  async #readMissing(signal: AbortSignal | undefined): Promise<void> {
    for (const name of this.#missing) {
      throwIfAborted(signal);
      await this.graph.setConstant(this.value(name), this.#leftOut.get(name)!());
      this.#missing.delete(name);
    }
  }

  read(tensor: string): Promise<Tensor> {
    return this.graph.read(this.value(tensor));
  }

  /** The outputs of the last run. */
  async readOutputs(): Promise<Outputs> {
    const entries: [string, Tensor][] = [];
    for (const name of this.outputs) entries.push([name, await this.read(name)]);
    return Object.fromEntries(entries);
  }

  dispose(): Promise<void> {
    return this.graph.dispose();
  }
}

/** An error that names about how much memory would do, where it is for want of it. */
function withBudget(error: unknown, model: OnnxModel, feeds: Feeds): unknown {
  return error instanceof MemoryRefusal ? error.orAbout(inferenceBytes(model, feeds)) : error;
}

function found(ids: ReadonlyMap<string, number>, name: string, kind: string): number {
  const id = ids.get(name);
  if (id === undefined)
    throw new BitwrightError("engine-failure", `the model has no ${kind} of this name`, { where: name });
  return id;
}

/** An operator that the engine lacks, with the nodes that need it. */
export interface UnsupportedOp {
  /** Its type, behind its domain when that is not ONNX's own. */
  readonly op: string;
  readonly nodes: readonly string[];
}

/**
 * What the engine lacks of a model's operators.
 * @param nodes - Names of the model's nodes in the order of their infos.
 */
export function unsupportedOps(
  model: OnnxModel,
  nodes: readonly string[],
  infos: readonly NodeInfo[],
): UnsupportedOp[] {
  const types = new Map(
    model.graph.node.map((node) => [node.name, node.domain === "" ? node.opType : `${node.domain}::${node.opType}`]),
  );
  const missing = new Map<string, string[]>();
  for (const [i, name] of nodes.entries()) {
    if (infos[i]?.supported) continue;
    const type = types.get(name) ?? "?";
    missing.set(type, [...(missing.get(type) ?? []), name]);
  }
  return [...missing].map(([op, nodes]) => ({ op, nodes }));
}

function checkInputs(model: OnnxModel, { precision }: GraphOptions): void {
  const double = modelInputs(model).find(({ dtype }) => dtype === "float64");
  if (double === undefined || precision === "float64") return;
  throw new BitwrightError("invalid-model", "the engine computes in float32", {
    where: `graph input "${double.name}"`,
    expected: "float",
    received: "double",
    remedy: "Export the model in single precision",
  });
}

function checkSupported(model: OnnxModel, nodes: readonly string[], infos: readonly NodeInfo[]): void {
  const missing = unsupportedOps(model, nodes, infos);
  if (missing.length === 0) return;
  const list = missing.map(({ op, nodes }) => `${op} (${nodes.join(", ")})`).join("; ");
  throw new BitwrightError(
    "unsupported-op",
    `the engine lacks ${missing.length === 1 ? "an operator" : `${missing.length} operators`}: ${list}`,
    {
      remedy: "Replace these nodes, or simplify the model before quantizing it",
    },
  );
}
