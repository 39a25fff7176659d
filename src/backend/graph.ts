/// <reference lib="esnext.disposable" preserve="true" />
import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import { type DataType, elementCount, type Tensor } from "../tensor.js";
import type { Backend } from "./backend.js";
import { bytesOf, checkDims, elementCode, elementType, emptyTensor } from "./elements.js";
import { GraphHandle } from "./graph-handle.js";
import type {
  Abortable,
  EdgeQuantizer,
  GradientOptions,
  GraphOptions,
  HessianForms,
  HessianOptions,
  Loss,
  MemoryUse,
  NodeInfo,
  ProjectionSource,
  Projections,
  RunOptions,
  Sites,
  TensorError,
  TensorGrid,
  ValueRange,
} from "./graph-types.js";
import { readJson } from "./info.js";

const lossCodes: Record<Loss["kind"], number> = { "cross-entropy": 0, kl: 1, "squared-error": 2, linear: 3, sum: 4 };
const projectionSources: Record<ProjectionSource["source"], number> = { loss: 0, fisher: 1 };
const parts = { primal: 0, adjoint: 1, tangent: 2, adjointTangent: 3 } as const;
const maxRank = 16;

/**
 * A model inside the engine. Values and nodes are named by their index in the program.
 *
 * Calls run one after another in the order they were made, awaited or not; arrays passed in must be left alone until their call settles. Every
 * method rejects with a BitwrightError, `aborted` when its signal fired.
 *
 * A graph owns memory that the garbage collector does not see: call {@link dispose} when done with it.
 */
export class Graph {
  readonly #handle: GraphHandle;
  /** Of the last run, and of the sites and errors declared: the extents of results. */
  #samples = 0;
  #probes = 0;
  #sites = 0;
  #errors = 0;

  private constructor(handle: GraphHandle) {
    this.#handle = handle;
  }

  /** Loads a program as `encodeProgram` makes it. Nodes that the engine lacks fail only when they are run; {@link describe} tells which. */
  static async create(backend: Backend, program: Uint8Array, options: GraphOptions = {}): Promise<Graph> {
    demand("backend", backend);
    demand("bytes", program, "program");
    demand("options", options);
    const target = new TextEncoder().encode(options.target ?? "");
    const precision = elementCode(options.precision ?? "float32");
    const id = new Uint32Array(1);
    await backend.callAsync(
      "bw_graph_create",
      program,
      program.length,
      precision,
      options.threads ?? 1,
      Math.min(options.memory ?? backend.memory, backend.memory),
      target,
      target.length,
      id,
    );
    return new Graph(new GraphHandle(backend, id[0]!));
  }

  /** What the engine makes of each node, in the program's order. */
  describe(): Promise<NodeInfo[]> {
    return this.#handle.inTurn(async () => {
      const description = readJson((...text) => this.#handle.call("bw_graph_describe", ...text));
      return (description as { nodes: NodeInfo[] }).nodes;
    });
  }

  /** Replaces the elements of a float initializer from the next run on; `undefined` restores the model's own. */
  setConstant(value: number, data: Float32Array | undefined): Promise<void> {
    return this.#handle.inTurn(async () => {
      this.#handle.call("bw_graph_set_constant", value, data ?? new Float32Array(0), data?.length ?? 0);
    });
  }

  /** From the next run on exactly these node inputs read their tensor through a quantizer. */
  setEdges(edges: readonly EdgeQuantizer[]): Promise<void> {
    return this.#handle.inTurn(async () => {
      demand("list", edges, "edges");
      const nodes = Int32Array.from(edges, (edge) => edge.node);
      const ports = Int32Array.from(edges, (edge) => edge.port);
      this.#handle.call("bw_graph_set_edges", nodes, ports, ...columns(edges), edges.length);
    });
  }

  /** Runs the graph on values for its inputs, by value id. */
  run(inputs: ReadonlyMap<number, Tensor>, options: RunOptions = {}): Promise<void> {
    const { values = [], keep = false, signal } = options;
    return this.#handle.inTurn(async () => {
      demand("map", inputs, "inputs");
      for (const [value, tensor] of inputs) {
        demand("tensor", tensor, `inputs.get(${String(value)})`);
        const { dtype, dims, data } = tensor;
        const bytes = bytesOf(data);
        const dims64 = BigInt64Array.from(checkDims(dims), BigInt);
        this.#handle.call("bw_graph_set_input", value, elementCode(dtype), dims64, dims.length, bytes, bytes.length);
      }
      this.#samples = batchSize(inputs);
      const code = keep === "segments" ? 2 : Number(keep);
      await this.#handle.callAsync("bw_graph_forward", code, Int32Array.from(values), values.length);
    }, signal);
  }

  /** Lets go of what the last run left, so that there is room for something else. */
  forget(): Promise<void> {
    return this.#handle.inTurn(async () => this.#handle.call("bw_graph_forget"));
  }

  memory(): Promise<MemoryUse> {
    return this.#handle.inTurn(async () => {
      const [live, peak] = [new Float64Array(1), new Float64Array(1)];
      this.#handle.call("bw_graph_memory", live, peak);
      return { live: live[0]!, peak: peak[0]! };
    });
  }

  /** A value of the last run. */
  read(value: number): Promise<Tensor> {
    return this.#handle.inTurn(async () => this.#read(value, parts.primal, 0));
  }

  /** Type and shape of a value of the last run. */
  shape(value: number): Promise<{ readonly dtype: DataType; readonly dims: readonly number[] }> {
    return this.#handle.inTurn(async () => this.#shape(value));
  }

  /** dL/dvalue of an activation, shaped like it, after {@link gradient}. */
  readGradient(value: number): Promise<Tensor> {
    return this.#handle.inTurn(async () => this.#read(value, parts.adjoint, 0));
  }

  /** dL/dvalue of an initializer, summed over samples, after {@link gradient}. */
  readWeightGradient(value: number): Promise<Float64Array> {
    return this.#handle.inTurn(async () => this.#readSum(value, parts.adjoint, 0));
  }

  /** The derivative of a value along the directions of one probe, after {@link tangent}. */
  readTangent(value: number, probe: number): Promise<Tensor> {
    return this.#handle.inTurn(async () => this.#read(value, parts.tangent, probe));
  }

  /** H v of an initializer for one probe, summed over samples, after {@link hessian} with `products`. */
  readProduct(value: number, probe: number): Promise<Float64Array> {
    return this.#handle.inTurn(async () => this.#readSum(value, parts.adjointTangent, probe));
  }

  /** Puts a loss on the last run, which must have kept its values. Returns the loss of each sample; their sum is what is differentiated. */
  loss(loss: Loss): Promise<Float64Array> {
    return this.#handle.inTurn(async () => {
      demand("options", loss, "loss");
      if (!Object.hasOwn(lossCodes, loss.kind)) {
        const expected = Object.keys(lossCodes).join(", ");
        throw new BitwrightError("invalid-option", "There is no such loss", {
          where: "loss.kind",
          expected,
          received: `${loss.kind}`,
        });
      }
      const losses = new Float64Array(this.#samples);
      const bytes = loss.kind === "sum" ? new Uint8Array(0) : bytesOf(loss.target);
      const kind = lossCodes[loss.kind];
      await this.#handle.callAsync("bw_graph_loss", kind, loss.value, bytes, bytes.length, losses, losses.length);
      return losses;
    });
  }

  /** Back-propagates the loss to the listed initializers and activations. */
  gradient(values: readonly number[], { reset = true, signal }: GradientOptions = {}): Promise<void> {
    return this.#handle.inTurn(async () => {
      demand("list", values, "values");
      await this.#handle.callAsync("bw_graph_gradient", Int32Array.from(values), values.length, reset ? 1 : 0);
    }, signal);
  }

  /** Declares the directions of the coming tangents. */
  setSites(sites: Sites): Promise<void> {
    return this.#handle.inTurn(async () => {
      demand("options", sites, "sites");
      const { weights, edges = [], probes, perSample = false, seed = 0, firstSample = 0 } = sites;
      demand("list", weights, "weights");
      demand("list", edges, "edges");
      const nodes = Int32Array.from(edges, (edge) => edge.node);
      const ports = Int32Array.from(edges, (edge) => edge.port);
      this.#handle.call(
        "bw_graph_set_sites",
        Int32Array.from(weights),
        weights.length,
        nodes,
        ports,
        edges.length,
        probes,
        perSample ? 1 : 0,
        seed,
        firstSample,
      );
      this.#probes = probes;
      this.#sites = weights.length + edges.length;
    });
  }

  /**
   * Replaces one probe's direction at one site: shaped like the initializer or, for an edge, like the tensor with its batch. `undefined` makes it zero.
   */
  setDirection(site: number, probe: number, data: Float32Array | undefined): Promise<void> {
    return this.#handle.inTurn(async () => {
      this.#handle.call("bw_graph_set_direction", site, probe, data ?? new Float32Array(0), data?.length ?? 0);
    });
  }

  /** Carries the directions forward through the last run. */
  tangent({ signal }: Abortable = {}): Promise<void> {
    return this.#handle.inTurn(() => this.#handle.callAsync("bw_graph_tangent"), signal);
  }

  /** One pass of exact Hessian probes of the loss: v_site . (H v)_site for each probe, sample and site, H v taken along all sites together. */
  hessian({ products = false, signal }: HessianOptions = {}): Promise<HessianForms> {
    return this.#handle.inTurn(async () => {
      const [probes, samples, sites] = [this.#probes, this.#samples, this.#sites];
      const forms = new Float64Array(probes * samples * sites);
      await this.#handle.callAsync("bw_graph_hessian", products ? 1 : 0, forms, forms.length);
      return { forms, probes, samples, sites };
    }, signal);
  }

  /**
   * Declares the errors of {@link project}, {@link projectSquares}, {@link aim} and {@link interactions} in place of the former ones. Initializers must be
   * weights or biases of products, or read by linear operators; node inputs must be floats that depend on what is fed.
   * @throws BitwrightError `unsupported-op` for others; where only a run tells that a value holds integers, what projects the errors throws it.
   */
  setErrors(errors: readonly TensorError[]): Promise<void> {
    return this.#handle.inTurn(async () => {
      demand("list", errors, "errors");
      const values = Int32Array.from(errors, (error) => ("value" in error ? error.value : -1));
      const nodes = Int32Array.from(errors, (error) => ("value" in error ? -1 : error.node));
      const ports = Int32Array.from(errors, (error) => ("value" in error ? -1 : error.port));
      this.#handle.call("bw_graph_set_errors", values, nodes, ports, errors.length);
      for (const [i, error] of errors.entries()) await this.#setError(i, error);
      this.#errors = errors.length;
    });
  }

  /** First-order projections of each sample's loss on each error: <d/dt, e> for its tensor t. */
  async project(source: ProjectionSource, { signal }: Abortable = {}): Promise<Projections> {
    demand("options", source, "source");
    const { probes, seed, firstSample } = source.source === "loss" ? { probes: 1, seed: 0, firstSample: 0 } : source;
    return this.#projections(probes, signal, (values) => {
      const code = projectionSources[source.source];
      return this.#handle.callAsync("bw_graph_project", code, probes, seed, firstSample, values, values.length);
    });
  }

  /** The sum of g^2 v over a tensor's elements: g the gradient of each sample's loss, v the error's variances. One probe. */
  projectSquares({ signal }: Abortable = {}): Promise<Projections> {
    return this.#projections(1, signal, (values) =>
      this.#handle.callAsync("bw_graph_project_squares", values, values.length),
    );
  }

  /** Directions of the coming tangents: probe p moves along error `indices[p]` alone. At most 64; replaces the sites. */
  aim(indices: readonly number[]): Promise<void> {
    return this.#handle.inTurn(async () => {
      demand("list", indices, "indices");
      this.#handle.call("bw_graph_aim", Int32Array.from(indices), indices.length);
      this.#probes = indices.length;
    });
  }

  /** e^T H e_aimed of each sample's loss for each probe of {@link aim} and each error e, H exact. */
  interactions({ signal }: Abortable = {}): Promise<Projections> {
    return this.#projections(undefined, signal, (values) =>
      this.#handle.callAsync("bw_graph_interactions", values, values.length),
    );
  }

  /** Extremes of float values of the last run. */
  ranges(values: readonly number[]): Promise<ValueRange[]> {
    return this.#handle.inTurn(async () => {
      demand("list", values, "values");
      const out = new Float64Array(3 * values.length);
      await this.#handle.callAsync("bw_graph_ranges", Int32Array.from(values), values.length, out);
      return values.map((_, i) => ({ min: out[3 * i]!, max: out[3 * i + 1]!, nonFinite: out[3 * i + 2]! }));
    });
  }

  /** Adds the histogram of a value of the last run over [low, high] to `bins`; elements outside count in the outer bins. */
  histogram(value: number, low: number, high: number, bins: Float64Array): Promise<void> {
    return this.#handle.inTurn(() =>
      this.#handle.callAsync("bw_graph_histogram", value, low, high, bins, bins?.length ?? 0),
    );
  }

  /** Adds the squared error of a value of the last run under each candidate quantizer to `sums`. */
  errors(value: number, candidates: readonly TensorGrid[], sums: Float64Array): Promise<void> {
    return this.#handle.inTurn(async () => {
      if (sums.length !== candidates.length) {
        throw new BitwrightError("engine-failure", "one sum is needed for each candidate", {
          expected: `${candidates.length} sums`,
          received: `${sums.length}`,
        });
      }
      await this.#handle.callAsync("bw_graph_errors", value, ...columns(candidates), candidates.length, sums);
    });
  }

  /** Frees the graph after the calls that were made. Further calls are errors; disposing again is not. */
  dispose(): Promise<void> {
    return this.#handle.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #setError(index: number, error: TensorError): Promise<void> {
    if ("value" in error) {
      const data = typeof error.data === "function" ? await error.data() : error.data;
      this.#handle.call("bw_graph_set_error_data", index, data, data.length);
    } else if ("grid" in error) {
      const { scale, zeroPoint, qmin, qmax } = error.grid;
      this.#handle.call("bw_graph_set_error_grid", index, scale, zeroPoint, qmin, qmax);
    } else {
      demand("options", error.variance, `errors[${index}].variance`);
      this.#handle.call("bw_graph_set_error_variance", index, error.variance.constant, error.variance.relative);
    }
  }

  /** Runs a pass that fills values for each probe (of `aim`, if undefined), sample and error. */
  #projections(
    probes: number | undefined,
    signal: AbortSignal | undefined,
    pass: (values: Float64Array) => Promise<void>,
  ): Promise<Projections> {
    return this.#handle.inTurn(async () => {
      const extents = { probes: probes ?? this.#probes, samples: this.#samples, errors: this.#errors };
      const values = new Float64Array(extents.probes * extents.samples * extents.errors);
      await pass(values);
      return { values, ...extents };
    }, signal);
  }

  #read(value: number, part: number, probe: number): Tensor {
    const { dtype, dims } = this.#shape(value);
    const tensor = emptyTensor(dtype, dims);
    this.#readInto(value, part, probe, tensor.data);
    return tensor;
  }

  #readSum(value: number, part: number, probe: number): Float64Array {
    const sum = new Float64Array(elementCount(this.#shape(value).dims));
    this.#readInto(value, part, probe, sum);
    return sum;
  }

  #readInto(value: number, part: number, probe: number, out: ArrayBufferView): void {
    const bytes = bytesOf(out);
    this.#handle.call("bw_graph_read", value, part, probe, bytes, bytes.length);
  }

  #shape(value: number): { dtype: DataType; dims: number[] } {
    const dtype = new Int32Array(1);
    const rank = new Int32Array(1);
    const dims = new BigInt64Array(maxRank);
    this.#handle.call("bw_graph_shape", value, dtype, rank, dims);
    return { dtype: elementType(dtype[0]!), dims: Array.from(dims.subarray(0, rank[0]), Number) };
  }
}

/** The leading dimension of the first input that has one other than 0, by which the engine tells samples apart. */
function batchSize(inputs: ReadonlyMap<number, Tensor>): number {
  const inOrder = [...inputs].sort(([a], [b]) => a - b);
  return inOrder.map(([, { dims }]) => dims[0]).find((size) => size !== undefined && size !== 0) ?? 1;
}

/** Quantizers as the engine takes them: scales, zero points, smallest and largest codes. */
function columns(grids: readonly TensorGrid[]): [Float32Array, Int32Array, Int32Array, Int32Array] {
  return [
    Float32Array.from(grids, (grid) => grid.scale),
    Int32Array.from(grids, (grid) => grid.zeroPoint),
    Int32Array.from(grids, (grid) => grid.qmin),
    Int32Array.from(grids, (grid) => grid.qmax),
  ];
}
