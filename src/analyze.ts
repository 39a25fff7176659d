import type { AnalysedSite, Analysis, Binding } from "./analysis.js";
import { measureBiasShifts } from "./calibrate/bias-correction.js";
import { calibrate } from "./calibrate/calibrate.js";
import { roundWeights } from "./calibrate/round-weights.js";
import type { LatencyModel } from "./cost/latency-model.js";
import type { Dataset } from "./data/dataset.js";
import { BitwrightError } from "./errors.js";
import { Evaluator } from "./evaluate/evaluator.js";
import type { Range } from "./export/layout.js";
import { measureSensitivities } from "./measure-sensitivities.js";
import type { Options } from "./options.js";
import type { Control } from "./progress.js";
import type { Site } from "./sensitivity/criterion.js";
import type { CriterionName } from "./sensitivity/index.js";
import { type InteractionSource, noInteractions } from "./sensitivity/interactions.js";
import { samplesAtOnce } from "./sensitivity/samples-at-once.js";
import { sitesOf } from "./sensitivity/sites.js";
import { roundedWeight, type Workspace } from "./workspace.js";

/** What an analysis needs besides its workspace. */
export interface AnalyzeOptions extends Control {
  readonly criteria: readonly CriterionName[];
  /** Where terms between sites come from. Default: none, but those that are known stay. */
  readonly interactions?: InteractionSource;
  readonly binding: Binding;
  /** Parts that are known from an earlier run with the same binding; they are not computed again. */
  readonly known?: Analysis | undefined;
  /** Measures which layers the target runs faster on float kernels; none are taken to be without it. */
  readonly findFloatKernels?: ((ranges: ReadonlyMap<string, Range>) => Promise<readonly string[]>) | undefined;
  /** Measures how long configurations take on the target; a known model is kept. */
  readonly measureLatency?: ((ranges: ReadonlyMap<string, Range>) => Promise<LatencyModel>) | undefined;
  /** Called whenever a part is finished, so that it can be saved. */
  readonly onPart?: ((analysis: Analysis) => Promise<void> | void) | undefined;
}

/** Means over the positions of this many samples are steady. */
const shiftSamples = 64;
/** Second moments need more of them than means do. */
const momentSamples = 128;

/**
 * Calibrates the activations on the calibration split and scores every site by the criteria asked for, on the samples that the options name.
 */
export async function analyze(workspace: Workspace, options: AnalyzeOptions): Promise<Analysis> {
  const { dataset, engine, target, model, options: run } = workspace;
  const { onProgress, signal, binding, known, onPart } = options;
  if (known !== undefined && isComplete(known, options)) return known;
  const tensors = target.observedTensors(model);
  const ranges =
    known === undefined
      ? await calibrate(engine, dataset, "calibration", tensors, {
          method: run.calibration,
          batchSize: run.batchSize,
          onProgress,
          signal,
        })
      : new Map<string, Range>(Object.entries(known.ranges).map(([name, [min, max]]) => [name, { min, max }]));

  const roundedWeights =
    known?.roundedWeights ??
    (run.rounding === "nearest"
      ? {}
      : await roundWeights({
          ...workspace,
          samples: dataset.splits.calibration.slice(0, momentSamples),
          batchSize: run.batchSize,
          seed: run.seed,
          onProgress,
          signal,
        }));
  const biasShifts =
    known?.biasShifts ??
    (await measureBiasShifts({
      ...workspace,
      rounded: (layer, format) => roundedWeight(workspace, roundedWeights, layer, format),
      samples: dataset.splits.calibration.slice(0, shiftSamples),
      batchSize: run.batchSize,
      onProgress,
      signal,
    }));

  const floatKernels = known?.floatKernels ?? (await options.findFloatKernels?.(ranges)) ?? [];
  const latency = known?.latency ?? (await options.measureLatency?.(ranges));

  const samples = sensitivitySamples(dataset, run);
  const evaluator = await Evaluator.create(engine, workspace.simulator, dataset, samples, {
    batchSize: run.batchSize,
    divergence: workspace.divergence,
    signal,
  });
  const sites = sitesOf(workspace, ranges, { roundedWeights, biasShifts }, await shapesOf(workspace, tensors));
  const analysis: Analysis = {
    version: 3,
    binding,
    ranges: Object.fromEntries([...ranges].map(([name, { min, max }]) => [name, [min, max] as const])),
    roundedWeights,
    biasShifts,
    floatKernels,
    sites: sites.map(
      ({ id, kind, tensor, node, op, elements, group }): AnalysedSite => ({
        id,
        kind,
        tensor,
        node,
        op,
        elements,
        group,
      }),
    ),
    criteria: { ...known?.criteria },
    ...(known?.meanSquaredLoss !== undefined && { meanSquaredLoss: known.meanSquaredLoss }),
    interactions: known?.interactions ?? noInteractions,
    ...(latency !== undefined && { latency }),
    seconds: { ...known?.seconds },
    ...(known?.unfinished !== undefined && { unfinished: known.unfinished }),
  };
  const context = {
    backend: workspace.backend,
    engine,
    dataset,
    samples,
    batchSize: samplesAtOnce(workspace),
    evaluator,
    sites,
    weight: (site: Site) => workspace.weight(site.tensor),
    constant: workspace.weight,
    loss: workspace.loss,
    divergence: workspace.divergence,
    probes: run.probes,
    probing: run.probing,
    weightProbes: run.weightProbes,
    seed: run.seed,
    onProgress,
    signal,
  };
  await onPart?.(analysis);
  return measureSensitivities(workspace, context, analysis, options);
}

/** Whether an analysis holds everything that is asked for. */
function isComplete(analysis: Analysis, options: AnalyzeOptions): boolean {
  const { criteria, interactions = "none", measureLatency } = options;
  return (
    (measureLatency === undefined || analysis.latency !== undefined) &&
    criteria.every((name) => analysis.criteria[name] !== undefined) &&
    ["none", analysis.interactions.source].includes(interactions)
  );
}

/** Indices of the samples that sensitivities are measured on. */
export function sensitivitySamples({ splits, size }: Dataset, { samples }: Pick<Options, "samples">): Uint32Array {
  if (typeof samples === "number") return splits.search.slice(0, samples);
  const { first, end } = samples;
  if (end > size) {
    throw new BitwrightError("invalid-option", "the data set has not so many samples", {
      where: "samples",
      expected: `a range inside 0:${size}`,
      received: `${first}:${end}`,
    });
  }
  return Uint32Array.from({ length: end - first }, (_, i) => first + i);
}

/** Shapes of tensors for one sample, from a run. */
export async function shapesOf(
  workspace: Workspace,
  tensors: readonly string[],
): Promise<Map<string, readonly number[]>> {
  const { dataset, engine, simulator } = workspace;
  await simulator.apply({ weights: [], biases: [], edges: [] });
  const shapes = new Map<string, readonly number[]>();
  for await (const batch of dataset.batches(dataset.splits.search.slice(0, 1), 1)) {
    await engine.run(batch.feeds, { values: tensors });
    for (const name of tensors) shapes.set(name, (await engine.read(name)).dims);
  }
  return shapes;
}
