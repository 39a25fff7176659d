import { measureLatency } from "./cost/latency-node.js";
import { saturatesWith } from "./cost/saturation-node.js";
import { withinBand } from "./data/band.js";
import { CarriedStates } from "./data/carried-states.js";
import { compareScored } from "./data/compare.js";
import type { Batch, Dataset } from "./data/dataset.js";
import { createScorer, type Outputs, type Scored } from "./data/metrics/scorer.js";
import { type Divergence, divergenceMetric } from "./evaluate/evaluator.js";
import { inspectFusion } from "./export/fusion-node.js";
import type { Layout } from "./export/layout.js";
import { openSession } from "./export/session-node.js";
import type { OnnxModel } from "./onnx/model.js";
import type { Limits } from "./options.js";
import type { Verified } from "./plan.js";
import { type Control, Stage } from "./progress.js";
import type { Feeds } from "./tensor.js";

/** What a file's answers on the verify split say. */
export interface Judgement extends Pick<Verified, "samples" | "withinBand" | "flips" | "paired" | "change" | "kl"> {
  readonly float: number;
  readonly quantized: number;
}

/** How a file runs. */
export interface Inspection extends Pick<Verified, "fusedAsPlanned" | "fusionProblems" | "saturates" | "latencyRatio"> {
  readonly latencyMs: { readonly float: number; readonly quantized: number };
}

/**
 * Runs exported files in plain onnxruntime sessions on held-back samples, against the float model on the same samples. The float
 * model is run once.
 */
export class Verifier {
  readonly #floatPath: string;
  readonly #dataset: Dataset;
  readonly #divergence: Divergence;
  readonly #limits: Limits;
  readonly #batchSize: number;
  #float: (Scored & { readonly references: readonly Outputs[] }) | undefined;

  constructor(
    floatPath: string,
    dataset: Dataset,
    options: { divergence: Divergence; limits: Limits; batchSize: number },
  ) {
    this.#floatPath = floatPath;
    this.#dataset = dataset;
    this.#divergence = options.divergence;
    this.#limits = options.limits;
    this.#batchSize = options.batchSize;
  }

  /**
   * Judges an exported file by its answers.
   * @param path - The exported file.
   */
  async judge(path: string, control: Control): Promise<Judgement> {
    const { metric } = this.#dataset;
    this.#float ??= await this.#runFloat(control);
    const float = this.#float;
    const { references } = float;
    const scorer = createScorer(metric);
    const distance = createScorer(divergenceMetric(this.#divergence, metric.output));
    let i = 0;
    await this.#run(path, "verify", control, (batch, outputs) => {
      scorer.add(batch, outputs, references[i]!);
      distance.add(batch, outputs, references[i++]!);
    });
    const quantized = scorer.result();
    const kl = distance.result().value;
    const { higherIsBetter } = metric;
    const figures = { float: float.value, quantized: quantized.value };
    return {
      ...figures,
      samples: this.#dataset.splits.verify.length,
      withinBand: withinBand({ ...figures, higherIsBetter, kl }, this.#limits),
      ...compareScored(this.#dataset, float, quantized),
      kl,
    };
  }

  /**
   * Looks at how onnxruntime runs an exported file: the kernels it takes, and how long they take.
   * @param model - The cleaned float model that the layout is for.
   * @param path - The exported file.
   */
  async inspect(model: OnnxModel, layout: Layout, path: string, control: Control): Promise<Inspection> {
    const fusion = await inspectFusion(model, layout, path);
    const [floatTime, quantizedTime] = await this.#times(path, control);
    return {
      fusedAsPlanned: fusion.asPlanned,
      fusionProblems: [
        ...fusion.layers
          .filter(({ planned, found }) => planned !== found)
          .map(({ node, planned, found, detail }) => `${node}: planned ${planned}, runs ${found} (${detail})`),
        ...fusion.strays.map((stray) => `${stray}: an integer product that is not in the plan`),
      ],
      saturates: await saturatesWith(layout),
      latencyMs: { float: floatTime!.median, quantized: quantizedTime!.median },
      latencyRatio: quantizedTime!.ratio,
    };
  }

  async #runFloat(control: Control) {
    const scorer = createScorer(this.#dataset.metric);
    const references: Outputs[] = [];
    await this.#run(this.#floatPath, "verify float", control, (batch, outputs) => {
      references.push(outputs);
      scorer.add(batch, outputs, outputs);
    });
    return { ...scorer.result(), references };
  }

  async #run(
    path: string,
    name: string,
    control: Control,
    use: (batch: Batch, outputs: Outputs) => void,
  ): Promise<void> {
    const session = await openSession(path);
    const stage = new Stage(control, name, this.#dataset.splits.verify.length);
    const carried = new CarriedStates(this.#dataset);
    try {
      for await (const batch of this.#dataset.batches("verify", this.#batchSize, { signal: control.signal })) {
        const outputs = await session.run(carried.feedsOf(batch));
        carried.take(batch, outputs);
        use(batch, outputs);
        stage.step(undefined, batch.indices.length);
      }
    } finally {
      await session.release();
    }
  }

  async #times(path: string, control: Control) {
    const models = [
      { name: "float", model: this.#floatPath },
      { name: "quantized", model: path },
    ];
    return measureLatency(models, await this.#oneSample(), control);
  }

  async #oneSample(): Promise<Feeds> {
    for await (const { feeds } of this.#dataset.batches(this.#dataset.splits.verify.slice(0, 1), 1)) return feeds;
    return {};
  }
}
