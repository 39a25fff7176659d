import { type DatasetFromOptions, datasetFrom } from "../../src/data/from-feeds.js";
import { EngineModel } from "../../src/evaluate/engine-model.js";
import { Evaluator } from "../../src/evaluate/evaluator.js";
import { type LayoutParts, Simulator } from "../../src/evaluate/simulator.js";
import type { TypedWeight } from "../../src/export/layout.js";
import type { Format } from "../../src/formats.js";
import { Graph } from "../../src/onnx/graph.js";
import type { OnnxModel } from "../../src/onnx/model.js";
import type { Quantizer, WeightQuantizer } from "../../src/quantizer.js";
import type { SensitivityContext, Site } from "../../src/sensitivity/criterion.js";
import { elementCount, type Feeds, type TensorOf } from "../../src/tensor.js";
import { backend } from "./backends.js";

/** The weight of a node, or what it reads at port 0. */
export interface SiteChoice {
  readonly node: string;
  readonly kind: Site["kind"];
  readonly quantizers?: Readonly<Partial<Record<TypedWeight["storage"], WeightQuantizer>>>;
}

/** A symmetric quantizer per tensor, or per channel along `axis` when there are several scales. */
export function symmetric(bits: number, scales: readonly number[], axis = 0): Quantizer {
  const limit = 2 ** (bits - 1) - 1;
  return {
    bits,
    signed: true,
    qmin: -limit,
    qmax: limit,
    granularity: scales.length === 1 ? { kind: "tensor" } : { kind: "channel", axis },
    scales: Float32Array.from(scales),
    zeroPoints: new Int32Array(scales.length),
  };
}

/** What a criterion works with, for sites of a small model, over all samples of `feeds`. Dispose the engine after use. */
export async function sensitivityContext(
  model: OnnxModel,
  feeds: Feeds,
  choices: readonly SiteChoice[],
  options: Partial<SensitivityContext> & { readonly data?: DatasetFromOptions } = {},
): Promise<SensitivityContext> {
  const { data, ...overrides } = options;
  const dataset = await datasetFrom(feeds, data);
  const engine = await EngineModel.create(backend, model);
  const samples = Uint32Array.from({ length: dataset.size }, (_, i) => i);
  const constants = new Graph(model);
  const weight = (tensor: string) => constants.constant(tensor) as TensorOf<"float32">;
  const shapes = new Map<string, readonly number[]>();
  for await (const batch of dataset.batches(samples.slice(0, 1), 1)) {
    await engine.run(batch.feeds, { keep: true });
    for (const { input } of model.graph.node) shapes.set(input[0]!, (await engine.read(input[0]!)).dims);
  }
  const sites = choices.map(({ node: name, kind, quantizers = {} }): Site => {
    const node = model.graph.node.find((candidate) => candidate.name === name)!;
    const port = kind === "weight" ? 1 : 0;
    const tensor = node.input[port]!;
    const common = {
      id: `${name}/${kind}`,
      tensor,
      node: name,
      port,
      op: node.opType,
      elements: elementCount(kind === "weight" ? weight(tensor).dims : shapes.get(tensor)!.slice(1)),
      group: name,
    };
    const entries = Object.entries(quantizers) as [TypedWeight["storage"], WeightQuantizer][];
    const alone = { weights: [], biases: [], edges: [] };
    if (kind === "weight") {
      const of = (storage: TypedWeight["storage"], quantizer: WeightQuantizer): LayoutParts => ({
        ...alone,
        weights: [{ node: name, port, initializer: tensor, quantizer, storage, kernel: "float" }],
      });
      const layouts = new Map<Format, LayoutParts>(
        entries.map(([format, quantizer]) => [format, of(format, quantizer)]),
      );
      return { ...common, kind, quantizers: new Map(entries), alone: (format) => layouts.get(format)! };
    }
    const uniform = new Map(entries as [Format, Quantizer][]);
    return {
      ...common,
      kind,
      quantizers: uniform,
      alone: (format) => ({ ...alone, edges: [{ node: name, port, tensor, quantizer: uniform.get(format)! }] }),
    };
  });
  const batchSize = 2;
  const divergence = options.divergence ?? "kl";
  return {
    backend,
    engine,
    dataset,
    samples,
    batchSize,
    evaluator: await Evaluator.create(engine, new Simulator(engine, model), dataset, samples, {
      batchSize,
      divergence,
    }),
    sites,
    weight: (site) => weight(site.tensor),
    constant: weight,
    interactions: () => Promise.reject(new Error("no interactions in this test")),
    known: {},
    onScores: async () => {},
    loss: "cross-entropy",
    divergence,
    probes: 16,
    seed: 0,
    ...overrides,
  };
}
