import type { AnalysedSite, Analysis, Binding } from "./analysis.js";
import { measureBiasShifts } from "./calibrate/bias-correction.js";
import { calibrate } from "./calibrate/calibrate.js";
import { roundWeights } from "./calibrate/round-weights.js";
import type { LatencyModel } from "./cost/latency-model.js";
import { type HardwareProfile, parseProfile, profileLatency } from "./cost/profile.js";
import type { Dataset } from "./data/dataset.js";
import { Field } from "./data/field.js";
import { someSamples } from "./data/splits.js";
import { BitwrightError } from "./errors.js";
import { Evaluator } from "./evaluate/evaluator.js";
import { withFloatStates } from "./evaluate/float-states.js";
import type { LayoutParts } from "./evaluate/simulator.js";
import type { Range } from "./export/layout.js";
import type { LayerChoice } from "./formats.js";
import { demand } from "./given.js";
import { measureSensitivities } from "./measure-sensitivities.js";
import { type Options, resolveOptions } from "./options.js";
import type { Control } from "./progress.js";
import { sampleShapes } from "./sample-shapes.js";
import type { Site } from "./sensitivity/criterion.js";
import { type CriterionName, criteria } from "./sensitivity/index.js";
import { type InteractionSource, noInteractions } from "./sensitivity/interactions.js";
import { sitesOf } from "./sensitivity/sites.js";
import { withinMemory } from "./within-memory.js";
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
  /** Finds out whether integer kernels of this machine need weights of 7 bits; they are taken not to without it. */
  readonly findSaturation?: (() => Promise<boolean>) | undefined;
  /** Measures how long configurations take on the target; a known model is kept. */
  readonly measureLatency?: ((ranges: ReadonlyMap<string, Range>) => Promise<LatencyModel>) | undefined;
  /** Computes those times from what a machine can do at best, in place of measured and of known ones. */
  readonly profile?: HardwareProfile | undefined;
  /** Takes the float model's figure on the samples as soon as it is known, and may throw when nothing can be held against it. */
  readonly onFloatFigure?: ((figure: number) => void) | undefined;
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
  demand("workspace", workspace);
  demand("options", options);
  demand("list", options.criteria, "criteria");
  demand("binding", options.binding, "binding");
  for (const name of options.criteria) resolveOptions({ criterion: name });
  if (options.interactions !== undefined) resolveOptions({ interactions: options.interactions });
  const { engine, target, model, options: run } = workspace;
  const { onProgress, signal, binding, known, onPart } = options;
  const profile = options.profile && parseProfile(new Field("options", "profile", options.profile));
  const profiled = profile && (() => profileLatency(profile, workspace, { signal }));
  if (known !== undefined && isComplete(known, options)) {
    if (profiled === undefined) return known;
    const timed = { ...known, latency: await profiled() };
    await onPart?.(timed);
    return timed;
  }
  const quantizesActivations = workspace.layers.some(({ choices }) => choices.some(readsCodes));
  const inBatches = <T>(work: (batchSize: number) => Promise<T>, most = run.batchSize) =>
    withinMemory(engine, most, work);
  const samples = sensitivitySamples(workspace.dataset, run);
  const dataset = await withFloatStates({
    ...workspace,
    samples: [...workspace.dataset.splits.calibration, ...samples],
    batchSize: run.batchSize,
    onProgress,
    signal,
  });
  const tensors = quantizesActivations ? target.observedTensors(model) : [];
  const ranges =
    known === undefined
      ? await inBatches((batchSize) =>
          calibrate(engine, dataset, "calibration", tensors, {
            method: run.calibration,
            batchSize,
            onProgress,
            signal,
          }),
        )
      : new Map<string, Range>(Object.entries(known.ranges).map(([name, [min, max]]) => [name, { min, max }]));

  const reducesRange = known?.reducesRange ?? (quantizesActivations && (await reduces(run, options)));
  const roundedWeights =
    known?.roundedWeights ??
    (run.rounding === "nearest"
      ? {}
      : await inBatches(
          (batchSize) =>
            roundWeights({
              ...workspace,
              dataset,
              samples: someSamples(dataset, "calibration", momentSamples),
              batchSize,
              seed: run.seed,
              reduceRange: reducesRange,
              onProgress,
              signal,
            }),
          await workspace.samplesAtOnce(dataset),
        ));
  const correctsBiases = workspace.layers.some(({ bias }) => bias !== undefined);
  const biasShifts =
    known?.biasShifts ??
    (correctsBiases
      ? await inBatches(
          (batchSize) =>
            measureBiasShifts({
              ...workspace,
              dataset,
              rounded: (layer, format) => roundedWeight(workspace, { roundedWeights, reducesRange }, layer, format),
              samples: someSamples(dataset, "calibration", shiftSamples),
              batchSize,
              onProgress,
              signal,
            }),
          await workspace.samplesAtOnce(dataset),
        )
      : {});

  const floatKernels =
    known?.floatKernels ?? (quantizesActivations ? await options.findFloatKernels?.(ranges) : undefined) ?? [];
  const latency = (await profiled?.()) ?? known?.latency ?? (await options.measureLatency?.(ranges));

  const { divergence } = workspace;
  const evaluator = lazyEvaluator(() =>
    inBatches((batchSize) =>
      Evaluator.create(engine, workspace.simulator, dataset, samples, { batchSize, divergence, signal }),
    ),
  );
  // Whose outputs are no numbers is found out before hours of work; what reads weights alone does without the run.
  const runsModel = quantizesActivations || !readsWeightsAlone(options);
  if (runsModel) options.onFloatFigure?.((await evaluator.ready()).float.metric);
  const sites = sitesOf(
    workspace,
    ranges,
    { roundedWeights, biasShifts, reducesRange },
    await sampleShapes(workspace, tensors, { signal }),
  );
  const analysis: Analysis = {
    version: 4,
    binding,
    ranges: Object.fromEntries([...ranges].map(([name, { min, max }]) => [name, [min, max] as const])),
    roundedWeights,
    biasShifts,
    floatKernels,
    reducesRange,
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
    batchSize: runsModel ? await workspace.samplesAtOnce(dataset) : run.batchSize,
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
    memory: run.memory,
    onProgress,
    signal,
  };
  await onPart?.(analysis);
  return measureSensitivities(workspace, context, analysis, options);
}

async function reduces({ reduceRange }: Options, { findSaturation }: AnalyzeOptions): Promise<boolean> {
  return reduceRange === "auto" ? ((await findSaturation?.()) ?? false) : reduceRange === "always";
}

function readsCodes({ activation }: LayerChoice): boolean {
  return activation !== "float";
}

function readsWeightsAlone({ criteria: names, interactions = "none", known }: AnalyzeOptions): boolean {
  const wanted = names.filter((name) => known?.criteria[name] === undefined);
  return interactions === "none" && wanted.every((name) => criteria[name].readsWeightsAlone);
}

/** One that runs the float model when it is first asked to. */
function lazyEvaluator(create: () => Promise<Evaluator>) {
  let made: Promise<Evaluator> | undefined;
  const ready = () => {
    made ??= create();
    return made;
  };
  return { ready, evaluate: async (layout: LayoutParts) => (await ready()).evaluate(layout) };
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
export function sensitivitySamples(dataset: Dataset, { samples }: Pick<Options, "samples">): Uint32Array {
  const { size } = dataset;
  if (typeof samples === "number") return someSamples(dataset, "search", samples);
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
