/// <reference lib="esnext.disposable" preserve="true" />
import type { Analysis } from "./analysis.js";
import type { Backend } from "./backend/backend.js";
import { leastErrorScales } from "./calibrate/least-error-scales.js";
import { fitDataset } from "./data/check-model.js";
import type { Dataset } from "./data/dataset.js";
import { requireSamples } from "./data/splits.js";
import { BitwrightError } from "./errors.js";
import { EngineModel } from "./evaluate/engine-model.js";
import { type Divergence, divergenceFor } from "./evaluate/evaluator.js";
import { Simulator } from "./evaluate/simulator.js";
import type { WeightedLayer } from "./export/layers.js";
import { targets } from "./export/targets/index.js";
import { hasReducedRange, type LayoutOptions, type PlannedLayer, type Target } from "./export/targets/target.js";
import { quantizerOfWeight, type WeightScales } from "./export/weight-quantizer.js";
import type { WeightFormat } from "./formats.js";
import { demand } from "./given.js";
import { type Change, cleanModel } from "./onnx/clean/index.js";
import { Graph } from "./onnx/graph.js";
import type { OnnxModel } from "./onnx/model.js";
import { type Options, resolveOptions } from "./options.js";
import { roundTo } from "./round-to.js";
import { readWeights } from "./rounded-weights.js";
import { batchOfSamples, samplesInFront } from "./sample-order.js";
import type { LossName } from "./sensitivity/criterion.js";
import type { TensorOf } from "./tensor.js";
import { requireDecided } from "./undecided-branches.js";

/** A cleaned model in the engine with its data: what every stage works on. Dispose it after use. */
export interface Workspace extends AsyncDisposable {
  readonly backend: Backend;
  readonly options: Options;
  readonly dataset: Dataset;
  /** The model as given. */
  readonly original: OnnxModel;
  /** The model that is quantized. */
  readonly model: OnnxModel;
  /** What the clean-up changed. */
  readonly changes: readonly Change[];
  readonly target: Target;
  /** What may be quantized, with the formats that the options allow. */
  readonly layers: readonly PlannedLayer[];
  readonly engine: EngineModel;
  readonly simulator: Simulator;
  readonly loss: LossName;
  readonly divergence: Divergence;
  /**
   * Samples in a batch where each sample's own derivatives or errors are wanted.
   * @param dataset - Whose samples can be run in any order.
   */
  samplesAtOnce(dataset: Dataset): Promise<number>;
  /** Scales with the least squared error for every layer's weight that is not known rounded. */
  readonly weightScales: WeightScales;
  weight(initializer: string): TensorOf<"float32">;
}

/**
 * Cleans a model up and loads it into the engine.
 * @param known - The analysis that the workspace is used with, if there is one: weights that it holds rounded need no scales.
 * @throws BitwrightError `unsupported-op` naming every node that the engine lacks, or what decides an `If`; `invalid-model` when nothing can be quantized; `invalid-data`
 *   when a split that is needed has no samples.
 */
export async function openWorkspace(
  backend: Backend,
  original: OnnxModel,
  data: Dataset,
  given: Options,
  known?: Pick<Analysis, "roundedWeights" | "reducesRange">,
): Promise<Workspace> {
  demand("backend", backend);
  demand("model", original);
  demand("dataset", data);
  const options = resolveOptions(given);
  requireSamples(data.splits, ["calibration", "search"]);
  const dataset = fitDataset(data, original);
  const { model, changes } = cleanModel(original, { given: dataset.constants });
  requireDecided(model, dataset.constants);
  const target = targets[options.target];
  const layers = layersOf(model, options);
  const constants = new Graph(model);
  const weight = (initializer: string) => constants.constant(initializer) as TensorOf<"float32">;
  const weightScales = await leastErrorScales(backend, layers, weight, known);
  const engine = await EngineModel.create(backend, samplesInFront(model, dataset), {
    threads: options.threads,
    ...(options.memory !== undefined && { memory: options.memory }),
    target: `/${options.arithmetic}`,
  });
  const divergence = divergenceFor(dataset.metric, original);
  let atOnce: Promise<number> | undefined;
  return {
    backend,
    options,
    dataset,
    original,
    model,
    changes,
    target,
    layers,
    engine,
    simulator: new Simulator(engine, model),
    loss: options.loss ?? (divergence === "kl" ? "kl" : "mse"),
    divergence,
    samplesAtOnce: (stepwise) => {
      atOnce ??= batchOfSamples(engine, stepwise, model, layers, options.batchSize);
      return atOnce;
    },
    weightScales,
    weight,
    [Symbol.asyncDispose]: () => engine.dispose(),
  };
}

/** The values that a layer's weight takes in a format. */
export async function roundedWeight(
  { backend, weight, weightScales }: Pick<Workspace, "backend" | "weight" | "weightScales">,
  { roundedWeights, reducesRange }: Pick<Analysis, "roundedWeights" | "reducesRange">,
  layer: PlannedLayer & WeightedLayer,
  format: WeightFormat,
): Promise<Float32Array> {
  const rounded = readWeights(roundedWeights)(layer, format);
  if (rounded !== undefined) return rounded.values;
  const exact = weight(layer.weight.initializer);
  const options = { weightScales, reduceRange: reducesRange && hasReducedRange(layer, format) };
  return roundTo(backend, exact.data, exact.dims, quantizerOfWeight(layer, exact, format, options));
}

/** How layouts of this model round weights, and what they take off biases for it. */
export function layoutOptions(
  { weightScales }: Workspace,
  { roundedWeights, biasShifts, reducesRange }: Pick<Analysis, "roundedWeights" | "biasShifts" | "reducesRange">,
): LayoutOptions {
  return {
    weightScales,
    roundedWeights: readWeights(roundedWeights),
    biasCorrections: ({ node }, format) => biasShifts[node]?.[format],
    reduceRange: reducesRange,
  };
}

/** What the target can quantize, with the formats that the options allow. */
function layersOf(model: OnnxModel, { target, formats }: Options): PlannedLayer[] {
  const offered = targets[target].layers(model);
  if (offered.length === 0) {
    throw new BitwrightError(
      "invalid-model",
      "no node multiplies by a stored float weight, so there is nothing to quantize",
      { remedy: "Weights in double precision are left alone: convert such a model to float32" },
    );
  }
  const layers = offered.map((layer) => withFormats(layer, formats));
  if (layers.some(({ choices }) => choices.length > 1)) return layers;
  const known = offered.flatMap(({ choices }) => choices.flatMap(({ weight, activation }) => [weight, activation]));
  throw new BitwrightError("invalid-option", "no layer of the model can take any of these formats", {
    where: "formats",
    expected: `one or more of ${[...new Set(known)].filter((format) => format !== "float").join(", ")}`,
    received: formats.join(", "),
  });
}

function withFormats(layer: PlannedLayer, formats: Options["formats"]): PlannedLayer {
  const allowed = new Set<string>(["float", ...formats]);
  return {
    ...layer,
    choices: layer.choices.filter(({ weight, activation }) => allowed.has(weight) && allowed.has(activation)),
  };
}
