import type { Backend } from "./backend/backend.js";
import { CarriedStates } from "./data/carried-states.js";
import { fitDataset } from "./data/check-model.js";
import { compareScored } from "./data/compare.js";
import type { Batch, Dataset, Selection } from "./data/dataset.js";
import type { FigureChange } from "./data/figure-change.js";
import type { SplitName } from "./data/manifest.js";
import { createScorer, type Outputs } from "./data/metrics/scorer.js";
import { openDataset } from "./data/open-node.js";
import type { PairedComparison } from "./data/statistics.js";
import { BitwrightError } from "./errors.js";
import { EngineModel } from "./evaluate/engine-model.js";
import { divergenceFor, divergenceMetric } from "./evaluate/evaluator.js";
import { openSession } from "./export/session-node.js";
import { demand } from "./given.js";
import { cleanModel } from "./onnx/clean/index.js";
import { readModelFile } from "./onnx/model-node.js";
import { defaults } from "./options.js";
import { type Control, Stage } from "./progress.js";
import type { Feeds } from "./tensor.js";
import { requireDecided } from "./undecided-branches.js";

export interface EvaluateOptions extends Control {
  /** The data set: its manifest's path, or the data set itself. */
  readonly data: string | Dataset;
  /** Model that is run on the same samples, for the difference; metrics that compare with the float model need it. */
  readonly reference?: string;
  /** Default `verify`. */
  readonly split?: SplitName | "all";
  readonly batchSize?: number;
  /** Computes with bitwright's engine instead of onnxruntime. */
  readonly engine?: { readonly backend: Backend; readonly threads?: number };
}

/** What a model's answers are worth. */
export interface ModelEvaluation {
  readonly metric: string;
  readonly samples: number;
  readonly value: number;
  /** What computed: `onnxruntime`, or the engine's backend. */
  readonly runtime: string;
  /** null without a reference. */
  readonly reference: {
    readonly value: number;
    /** null for metrics that do not judge single samples, and for steps of sequences, which depend on each other. */
    readonly paired: PairedComparison | null;
    /** What the figures show, for any metric. */
    readonly change: FigureChange;
    /** Mean divergence of the model's outputs from the reference's. */
    readonly divergence: number;
  } | null;
}

/**
 * Evaluates an ONNX model on a data set in an onnxruntime session with default options, or in bitwright's engine.
 * @throws BitwrightError `runtime-missing`, `invalid-model`, `invalid-data`, `unsupported-op`, `aborted`.
 */
export async function evaluate(path: string, options: EvaluateOptions): Promise<ModelEvaluation> {
  demand("options", options);
  const { reference, split = "verify", batchSize = defaults.batchSize, engine } = options;
  const data = typeof options.data === "string" ? await openDataset(options.data) : options.data;
  demand("dataset", data, "data");
  if (engine !== undefined) demand("backend", engine.backend, "engine.backend");
  const model = await readModelFile(path);
  const dataset = fitDataset(data, model);
  const { metric } = dataset;
  if (metric.needs === "reference" && reference === undefined) {
    throw new BitwrightError("invalid-option", `the metric ${metric.name} compares with a reference model`, {
      where: "reference",
      remedy: "Name the float model.",
    });
  }
  const samples = split === "all" ? dataset.size : dataset.splits[split].length;
  if (samples === 0) throw new BitwrightError("invalid-data", `the split ${split} has no samples`);
  const open = engine === undefined ? openSession : (model: string) => openInEngine(model, engine, dataset.constants);
  const own = createScorer(metric);
  const other = createScorer(metric);
  const distance = createScorer(divergenceMetric(divergenceFor(metric, model), metric.output));
  const stage = new Stage(options, "evaluate", samples);
  const runners: (Runner & { readonly carried: CarriedStates })[] = [];
  try {
    for (const model of reference === undefined ? [path] : [path, reference]) {
      runners.push({ ...(await open(model)), carried: new CarriedStates(dataset) });
    }
    for await (const batch of dataset.batches(split satisfies Selection, batchSize, { signal: options.signal })) {
      const [outputs, references] = await runAll(runners, batch);
      own.add(batch, outputs!, references);
      if (references !== undefined) {
        other.add(batch, references, references);
        distance.add(batch, outputs!, references);
      }
      stage.step(undefined, batch.indices.length);
    }
  } finally {
    for (const runner of runners) await runner.release();
  }
  const quantized = own.result();
  const runtime = engine?.backend.name ?? "onnxruntime";
  const common = { metric: metric.name, samples, value: quantized.value, runtime };
  if (reference === undefined) return { ...common, reference: null };
  const float = other.result();
  const { paired, change } = compareScored(dataset, float, quantized);
  return { ...common, reference: { value: float.value, paired, change, divergence: distance.result().value } };
}

/** A model that is ready to run. */
interface Runner {
  run(feeds: Feeds): Promise<Outputs>;
  release(): Promise<void>;
}

/** Every model with the states that it has come to itself. */
async function runAll(
  runners: readonly (Runner & { readonly carried: CarriedStates })[],
  batch: Batch,
): Promise<Outputs[]> {
  const all: Outputs[] = [];
  for (const { run, carried } of runners) {
    const outputs = await run(carried.feedsOf(batch));
    carried.take(batch, outputs);
    all.push(outputs);
  }
  return all;
}

async function openInEngine(
  path: string,
  { backend, threads }: NonNullable<EvaluateOptions["engine"]>,
  given: Dataset["constants"],
): Promise<Runner> {
  const { model } = cleanModel(await readModelFile(path), { given });
  requireDecided(model, given);
  const engine = await EngineModel.create(backend, model, { threads: threads ?? defaults.threads });
  return {
    async run(feeds) {
      await engine.run(feeds);
      return engine.readOutputs();
    },
    release: () => engine.dispose(),
  };
}
