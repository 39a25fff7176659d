import { fakeQuantize } from "../backend/kernels.js";
import { bitsKey } from "../bits-key.js";
import type { Outputs } from "../data/metrics/scorer.js";
import type { BiasLayout, EdgeLayout, Layout, WeightLayout } from "../export/layout.js";
import { Graph } from "../onnx/graph.js";
import type { OnnxModel } from "../onnx/model.js";
import { isUniform } from "../quantizer.js";
import { roundTo } from "../round-to.js";
import type { TensorOf } from "../tensor.js";
import type { EngineModel } from "./engine-model.js";

/** The parts of a layout that change what a model computes. */
export type LayoutParts = Pick<Layout, "weights" | "biases" | "edges">;

const mostCached = 2 ** 31;

/** Makes an engine's model compute what a layout says: stored integers replaced by the values they stand for, edges quantized. */
export class Simulator {
  readonly #engine: EngineModel;
  readonly #constants: Graph;
  /** What each overridden initializer holds now. */
  readonly #applied = new Map<string, string>();
  /** Values by override, up to so many bytes: searches come back to the same few again and again. */
  readonly #cache = new Map<string, Float32Array>();
  #cacheBytes = 0;
  /** Numbers of the arrays that rounded weights and scales of blocks come in, which are too long to tell apart by what they hold. */
  readonly #arrays = new WeakMap<Float32Array, number>();
  #arrayCount = 0;
  #outputEdges: readonly EdgeLayout[] = [];

  constructor(engine: EngineModel, model: OnnxModel) {
    this.#engine = engine;
    this.#constants = new Graph(model);
  }

  /** Follows a layout from the next run on; an empty one restores the float model. */
  async apply({ weights, biases, edges }: LayoutParts): Promise<void> {
    const wanted = new Map([...weights, ...biases].map((part: Override) => [part.initializer, part]));
    for (const name of this.#applied.keys()) {
      if (wanted.has(name)) continue;
      await this.#engine.setConstant(name, undefined);
      this.#applied.delete(name);
    }
    for (const [name, override] of wanted) {
      const key = this.#keyOf(override);
      if (this.#applied.get(name) === key) continue;
      await this.#engine.setConstant(name, await this.#values(override, key));
      this.#applied.set(name, key);
    }
    this.#outputEdges = edges.filter((edge) => edge.node === undefined);
    await this.#engine.graph.setEdges(
      edges.flatMap(({ node, port, quantizer }) =>
        node === undefined
          ? []
          : [
              {
                node: this.#engine.node(node),
                port,
                scale: quantizer.scales[0]!,
                zeroPoint: quantizer.zeroPoints[0]!,
                qmin: quantizer.qmin,
                qmax: quantizer.qmax,
              },
            ],
      ),
    );
  }

  /** The outputs of the engine's last run, quantized where the layout says so. */
  async readOutputs(): Promise<Outputs> {
    const outputs: Record<string, Outputs[string]> = { ...(await this.#engine.readOutputs()) };
    for (const { port, quantizer } of this.#outputEdges) {
      const name = this.#engine.outputs[port]!;
      const { dims, data } = outputs[name] as TensorOf<"float32">;
      outputs[name] = { dtype: "float32", dims, data: await fakeQuantize(this.#engine.backend, data, dims, quantizer) };
    }
    return outputs;
  }

  async #values(override: Override, key: string): Promise<Float32Array> {
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const { initializer, quantizer } = override;
    const stored = this.#constants.constant(initializer) as TensorOf<"float32">;
    const exact = override.values ?? stored.data;
    const values = quantizer === undefined ? exact : await roundTo(this.#engine.backend, exact, stored.dims, quantizer);
    this.#keep(key, values);
    return values;
  }

  #keep(key: string, values: Float32Array): void {
    this.#cache.set(key, values);
    this.#cacheBytes += values.byteLength;
    for (const [oldest, { byteLength }] of this.#cache) {
      if (this.#cacheBytes <= mostCached) return;
      this.#cache.delete(oldest);
      this.#cacheBytes -= byteLength;
    }
  }

  /** Distinguishes what one initializer may be replaced by. */
  #keyOf(override: Override): string {
    const { initializer, quantizer, values } = override;
    const content = "storage" in override ? this.#numberOf(values) : bitsKey(override.values);
    const base = `${initializer} ${content}`;
    if (quantizer === undefined) return base;
    if (!isUniform(quantizer)) return `${base} ${quantizer.format} ${bitsKey(quantizer.scales)}`;
    const { qmin, qmax, scales, zeroPoints, granularity } = quantizer;
    if (granularity.kind === "block") return `${base} ${qmin} ${qmax} ${this.#numberOf(scales)}`;
    const zeros = zeroPoints.some((zero) => zero !== 0) ? zeroPoints.join() : "";
    return `${base} ${qmin} ${qmax} ${bitsKey(scales)} ${zeros}`;
  }

  #numberOf(values: Float32Array | undefined): string {
    if (values === undefined) return "";
    const number = this.#arrays.get(values) ?? ++this.#arrayCount;
    this.#arrays.set(values, number);
    return `#${number}`;
  }
}

type Override = WeightLayout | BiasLayout;
