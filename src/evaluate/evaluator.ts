import { CarriedStates } from "../data/carried-states.js";
import type { Batch, Dataset, Selection } from "../data/dataset.js";
import { kl } from "../data/metrics/kl.js";
import type { Metric, Scores } from "../data/metrics/metric.js";
import { createScorer, type Outputs, type Scored } from "../data/metrics/scorer.js";
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
  /** The samples that the scores are of. */
  readonly indices: Uint32Array;
  /** Mean divergence from the float model's outputs: KL in nats, or half the squared error for models whose outputs are not classes. */
  readonly divergence: number;
}

export const divergences = ["kl", "squared-error"] as const;
/** How far outputs are from the float model's. */
export type Divergence = (typeof divergences)[number];

/** Name of the output that a metric judges. */
export function judgedOutput({ output }: Metric, { graph }: OnnxModel): string {
  return output ?? graph.output[0]?.name ?? "";
}

/** The divergence that suits a metric: KL where the output that it judges holds scores of several classes. */
export function divergenceFor(metric: Metric, model: OnnxModel): Divergence {
  const dims = declaredTypes(model.graph).get(judgedOutput(metric, model))?.dims;
  const single = dims?.slice(1).every((dim) => dim === 1) ?? false;
  return single || ["ap", "psnr", "snr", "spearman"].includes(metric.name) ? "squared-error" : "kl";
}

/** The divergence as a metric of the output that is judged. */
export function divergenceMetric(kind: Divergence, output: string | undefined): Metric {
  const metric = kind === "kl" ? kl() : squaredError;
  return output === undefined ? metric : { ...metric, output };
}

/**
 * Evaluates configurations on one selection of samples, against the float model's answers to the same samples. Every configuration carries its own states
 * through the sequences of the data set.
 */
export class Evaluator {
  readonly #engine: EngineModel;
  readonly #simulator: Simulator;
  readonly #batches: readonly Batch[];
  readonly #references: readonly Outputs[];
  readonly #dataset: Dataset;
  readonly #divergence: Metric;
  readonly #control: Control;
  /** The float model itself. */
  readonly float: Evaluation;

  private constructor(
    engine: EngineModel,
    simulator: Simulator,
    dataset: Dataset,
    divergence: Metric,
    batches: readonly Batch[],
    references: readonly Outputs[],
    control: Control,
  ) {
    this.#engine = engine;
    this.#simulator = simulator;
    this.#dataset = dataset;
    this.#divergence = divergence;
    this.#batches = batches;
    this.#references = references;
    this.#control = control;
    this.float = this.#score(references, true);
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
    const carried = new CarriedStates(dataset);
    for await (const batch of dataset.batches(selection, batchSize, { signal })) {
      await engine.run(carried.feedsOf(batch), { signal });
      const outputs = await engine.readOutputs();
      carried.take(batch, outputs);
      batches.push(batch);
      references.push(outputs);
    }
    const divergence = divergenceMetric(options.divergence ?? "kl", dataset.metric.output);
    return new Evaluator(engine, simulator, dataset, divergence, batches, references, options);
  }

  /** Number of samples. */
  get samples(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.indices.length, 0);
  }

  /** Runs what the layout says on all samples. */
  async evaluate(layout: LayoutParts): Promise<Evaluation> {
    const { signal } = this.#control;
    await this.#simulator.apply(layout);
    const carried = new CarriedStates(this.#dataset);
    const answers: Outputs[] = [];
    for (const batch of this.#batches) {
      await this.#engine.run(carried.feedsOf(batch), { signal });
      const outputs = await this.#simulator.readOutputs();
      carried.take(batch, outputs);
      answers.push(outputs);
    }
    return this.#score(answers);
  }

  #score(answers: readonly Outputs[], isFloat = false): Evaluation {
    const scorer = createScorer(this.#dataset.metric);
    const distance = createScorer(this.#divergence);
    for (const [i, batch] of this.#batches.entries()) {
      scorer.add(batch, answers[i]!, this.#references[i]!);
      distance.add(batch, answers[i]!, this.#references[i]!);
    }
    const { value, scores, indices } = scorer.result();
    const divergence = distance.result();
    if (isFloat) checkFloat(divergence);
    return { metric: value, scores, indices, divergence: divergence.value };
  }
}

/** A model whose outputs are numbers does not differ from itself. */
function checkFloat({ scores, indices }: Scored): void {
  const odd = scores.value.findIndex((value) => !Number.isFinite(value));
  if (odd < 0) return;
  throw new BitwrightError("invalid-model", "the float model's outputs are no finite numbers", {
    where: `sample ${indices[odd]}`,
    remedy: "Check the preprocessing in the data set's manifest, and the model on this sample",
  });
}
