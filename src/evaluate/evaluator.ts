import type { Batch, Dataset, Selection } from "../data/dataset.js";
import { kl } from "../data/metrics/kl.js";
import type { Metric, Scores } from "../data/metrics/metric.js";
import { createScorer, type Outputs } from "../data/metrics/scorer.js";
import { BitwrightError } from "../errors.js";
import type { OnnxModel } from "../onnx/model.js";
import { declaredTypes } from "../onnx/value-types.js";
import type { Control } from "../progress.js";
import type { EngineModel } from "./engine-model.js";
import type { LayoutParts, Simulator } from "./simulator.js";
import { squaredError } from "./squared-error.js";

/** What a configuration does to the model's answers on some samples. */
export interface Evaluation {
  /** The data set's metric. */
  readonly metric: number;
  readonly scores: Scores;
  /** Mean divergence from the float model's outputs: KL in nats, or half the squared error for models whose outputs are not classes. */
  readonly divergence: number;
  readonly divergences: Float64Array;
}

/** How far outputs are from the float model's. */
export type Divergence = "kl" | "squared-error";

/** The divergence that suits a metric: KL where the output that it judges holds scores of several classes. */
export function divergenceFor(metric: Metric, { graph }: OnnxModel): Divergence {
  const output = metric.output ?? graph.output[0]?.name ?? "";
  const dims = declaredTypes(graph).get(output)?.dims;
  const single = dims?.slice(1).every((dim) => dim === 1) ?? false;
  return single || ["ap", "psnr", "spearman"].includes(metric.name) ? "squared-error" : "kl";
}

/** The divergence as a metric of the output that is judged. */
export function divergenceMetric(kind: Divergence, output: string | undefined): Metric {
  const metric = kind === "kl" ? kl() : squaredError;
  return output === undefined ? metric : { ...metric, output };
}

/** Evaluates configurations on one selection of samples, against the float model's answers to the same samples. */
export class Evaluator {
  readonly #engine: EngineModel;
  readonly #simulator: Simulator;
  readonly #batches: readonly Batch[];
  readonly #references: readonly Outputs[];
  readonly #metric: Metric;
  readonly #divergence: Metric;
  readonly #control: Control;
  /** The float model itself. */
  readonly float: Evaluation;

  private constructor(
    engine: EngineModel,
    simulator: Simulator,
    metric: Metric,
    divergence: Metric,
    batches: readonly Batch[],
    references: readonly Outputs[],
    control: Control,
  ) {
    this.#engine = engine;
    this.#simulator = simulator;
    this.#metric = metric;
    this.#divergence = divergence;
    this.#batches = batches;
    this.#references = references;
    this.#control = control;
    this.float = this.#score(references);
  }

  /** Runs the float model over the samples; they stay in memory, since every configuration is run on them. */
  static async create(
    engine: EngineModel,
    simulator: Simulator,
    dataset: Dataset,
    selection: Selection,
    options: { readonly batchSize: number; readonly divergence?: Divergence } & Control,
  ): Promise<Evaluator> {
    const { batchSize, signal } = options;
    const batches: Batch[] = [];
    const references: Outputs[] = [];
    await simulator.apply({ weights: [], biases: [], edges: [] });
    for await (const batch of dataset.batches(selection, batchSize, { signal })) {
      await engine.run(batch.feeds, { signal });
      batches.push(batch);
      references.push(await engine.readOutputs());
    }
    const divergence = divergenceMetric(options.divergence ?? "kl", dataset.metric.output);
    const evaluator = new Evaluator(engine, simulator, dataset.metric, divergence, batches, references, options);
    checkFloat(evaluator.float, batches);
    return evaluator;
  }

  /** Number of samples. */
  get samples(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.indices.length, 0);
  }

  /** Runs what the layout says on all samples. */
  async evaluate(layout: LayoutParts): Promise<Evaluation> {
    const { signal } = this.#control;
    await this.#simulator.apply(layout);
    const outputs: Outputs[] = [];
    for (const { feeds } of this.#batches) {
      await this.#engine.run(feeds, { signal });
      outputs.push(await this.#simulator.readOutputs());
    }
    return this.#score(outputs);
  }

  #score(outputs: readonly Outputs[]): Evaluation {
    return scoreOutputs(this.#metric, this.#divergence, this.#batches, outputs, this.#references);
  }
}

/** A model whose outputs are numbers does not differ from itself. */
function checkFloat({ divergences }: Evaluation, batches: readonly Batch[]): void {
  const odd = divergences.findIndex((value) => !Number.isFinite(value));
  if (odd < 0) return;
  throw new BitwrightError("invalid-model", "the float model's outputs are no finite numbers", {
    where: `sample ${batches.flatMap(({ indices }) => [...indices])[odd]}`,
    remedy: "Check the preprocessing in the data set's manifest, and the model on this sample",
  });
}

function scoreOutputs(
  metric: Metric,
  divergence: Metric,
  batches: readonly Batch[],
  outputs: readonly Outputs[],
  references: readonly Outputs[],
): Evaluation {
  const scorer = createScorer(metric);
  const distance = createScorer(divergence);
  for (const [i, batch] of batches.entries()) {
    scorer.add(batch, outputs[i]!, references[i]!);
    distance.add(batch, outputs[i]!, references[i]!);
  }
  const { value, scores } = scorer.result();
  const { value: mean, scores: each } = distance.result();
  return { metric: value, scores, divergence: mean, divergences: each.value };
}
