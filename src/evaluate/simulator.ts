import { fakeQuantize } from "../backend/kernels.js";
import type { Outputs } from "../data/metrics/scorer.js";
import type { BiasLayout, EdgeLayout, Layout, WeightLayout } from "../export/layout.js";
import { Graph } from "../onnx/graph.js";
import type { OnnxModel } from "../onnx/model.js";
import type { Quantizer } from "../quantizer.js";
import type { TensorOf } from "../tensor.js";
import type { EngineModel } from "./engine-model.js";

/** The parts of a layout that change what a model computes. */
export type LayoutParts = Pick<Layout, "weights" | "biases" | "edges">;

/** Makes an engine's model compute what a layout says: stored integers replaced by the values they stand for, edges quantized. */
export class Simulator {
  readonly #engine: EngineModel;
  readonly #constants: Graph;
  /** Quantizer that each overridden initializer has now. */
  readonly #applied = new Map<string, Quantizer>();
  /** Fake-quantized values by initializer and quantizer; searches come back to the same few again and again. */
  readonly #cache = new Map<string, Float32Array>();
  #outputEdges: readonly EdgeLayout[] = [];

  constructor(engine: EngineModel, model: OnnxModel) {
    this.#engine = engine;
    this.#constants = new Graph(model);
  }

  /** Follows a layout from the next run on; an empty one restores the float model. */
  async apply({ weights, biases, edges }: LayoutParts): Promise<void> {
    const wanted = new Map([...weights, ...biases].map((part: WeightLayout | BiasLayout) => [part.initializer, part.quantizer]));
    for (const name of this.#applied.keys()) {
      if (wanted.has(name)) continue;
      await this.#engine.graph.setConstant(this.#engine.value(name), undefined);
      this.#applied.delete(name);
    }
    for (const [name, quantizer] of wanted) {
      const now = this.#applied.get(name);
      if (now !== undefined && quantizerKey(now) === quantizerKey(quantizer)) continue;
      await this.#engine.graph.setConstant(this.#engine.value(name), await this.#fakeQuantized(name, quantizer));
      this.#applied.set(name, quantizer);
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

  async #fakeQuantized(name: string, quantizer: Quantizer): Promise<Float32Array> {
    const key = `${name} ${quantizerKey(quantizer)}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const { data, dims } = this.#constants.constant(name) as TensorOf<"float32">;
    const values = await fakeQuantize(this.#engine.backend, data, dims, quantizer);
    this.#cache.set(key, values);
    return values;
  }
}

/** Distinguishes quantizers of one initializer. */
function quantizerKey({ qmin, qmax, scales, zeroPoints }: Quantizer): string {
  return `${qmin} ${qmax} ${scales.join()} ${zeroPoints.some((zero) => zero !== 0) ? zeroPoints.join() : ""}`;
}
