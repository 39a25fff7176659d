import type { Analysis } from "./analysis.js";
import { analyze } from "./analyze.js";
import type { Backend } from "./backend/backend.js";
import { loadBackend } from "./backend/load-node.js";
import { measuredFloatKernels } from "./cost/float-kernels-node.js";
import { typicalError } from "./cost/latency-model.js";
import type { HardwareProfile } from "./cost/profile.js";
import { openProfile } from "./cost/profile-node.js";
import { saturates } from "./cost/saturation-node.js";
import { measureWorkspaceLatency } from "./cost/workspace-latency-node.js";
import { withinBand } from "./data/band.js";
import type { Dataset } from "./data/dataset.js";
import { openDataset } from "./data/open-node.js";
import { requireSamples } from "./data/splits.js";
import { explainChoices } from "./explain.js";
import type { LayerChoice } from "./formats.js";
import { demand, demandKnown } from "./given.js";
import { keptFloat } from "./kept-float.js";
import { checkLimits } from "./limits.js";
import { modelFileBytes, readModelFile, writeModelFile, writtenLike } from "./onnx/model-node.js";
import { openBound } from "./open-bound.js";
import { type Limits, type Options, type RunOptions, resolveOptions } from "./options.js";
import { checkOutputs } from "./output-paths-node.js";
import type { Plan, Verified } from "./plan.js";
import type { Control } from "./progress.js";
import { type SearchOutcome, searchPlan } from "./search-plan.js";
import { lossErrorCriteria } from "./sensitivity/index.js";
import { chosenIndices, type Interactions, type Prediction, predictLoss } from "./sensitivity/interactions.js";
import { judgePrediction } from "./sensitivity/trust.js";
import { unmetLimits } from "./unmet-limits.js";
import type { Workspace } from "./workspace.js";
import { type Verification, type Written, writeVerified } from "./write-verified-node.js";

/** What to quantize, on which data, within which limits. */
export interface QuantizeOptions extends RunOptions, Control {
  /** The data set: its manifest's path, or the data set itself. */
  readonly data: string | Dataset;
  /** What the result has to keep. */
  readonly limits: Limits;
  /** Where the model goes; it appears there only when it is whole. */
  readonly output: string;
  /** Default: the native one if it is there, else WebAssembly. */
  readonly backend?: Backend;
  /** An analysis made before with the same model, data and options; what it holds is not computed again. */
  readonly analysis?: Analysis;
  /**
   * Predicts times from what a machine can do at best, in place of measuring them on this one: a JSON file's path, or the profile itself. A limit on latency is then
   * judged by these predictions alone.
   */
  readonly profile?: string | HardwareProfile;
  /** Whether the file is run in onnxruntime against the float model. Default true; without it the predictions are all that is known. */
  readonly verify?: boolean;
  /** Called whenever a part of the analysis is done, so that an interrupted run can be resumed. */
  readonly onAnalysis?: (analysis: Analysis) => Promise<void> | void;
}

const optionNames: Readonly<Record<keyof QuantizeOptions, true>> = {
  data: true,
  limits: true,
  output: true,
  target: true,
  method: true,
  criterion: true,
  interactions: true,
  search: true,
  minimize: true,
  formats: true,
  calibration: true,
  rounding: true,
  reduceRange: true,
  loss: true,
  samples: true,
  probes: true,
  probing: true,
  weightProbes: true,
  batchSize: true,
  seed: true,
  arithmetic: true,
  threads: true,
  memory: true,
  backend: true,
  analysis: true,
  profile: true,
  verify: true,
  onAnalysis: true,
  onProgress: true,
  signal: true,
};

export interface QuantizeResult {
  readonly plan: Plan;
  readonly analysis: Analysis;
  /** Whether the limits are met, on the verify split where it was run. */
  readonly feasible: boolean;
}

/**
 * The whole road: reads a float ONNX model, calibrates, scores its layers, searches a configuration inside the limits, writes it, and verifies the written
 * file in onnxruntime on samples that nothing else has seen. When verification fails, the lowerings that promise the most harm are taken back until it holds.
 * @param path - The float model.
 * @throws BitwrightError; nothing is left at `output` then, and a file that was there is still there.
 */
export async function quantize(path: string, options: QuantizeOptions): Promise<QuantizeResult> {
  const run = resolveOptions(options);
  demandKnown(options, optionNames);
  const { limits, output, onProgress, signal } = options;
  checkLimits(limits);
  demand("path", output, "output");
  if (options.backend !== undefined) demand("backend", options.backend);
  await checkOutputs([path, typeof options.data === "string" ? options.data : undefined], [output]);
  const profile = options.profile === undefined ? undefined : await openProfile(options.profile);
  const original = await readModelFile(path);
  const dataset = typeof options.data === "string" ? await openDataset(options.data) : options.data;
  demand("dataset", dataset, "data");
  if (options.verify !== false) requireSamples(dataset.splits, ["verify"]);
  const backend = options.backend ?? (await loadBackend());
  const bound = await openBound(backend, original, dataset, run, options.analysis);
  await using workspace = bound.workspace;
  const analysis = await analyze(workspace, {
    criteria: [run.criterion],
    interactions: run.interactions,
    binding: bound.binding,
    known: options.analysis,
    onFloatFigure: (float) => withinBand({ ...dataset.metric, float, quantized: float, kl: 0 }, limits),
    findSaturation: saturates,
    findFloatKernels: (ranges) => measuredFloatKernels(workspace, ranges, { onProgress, signal }),
    profile,
    ...(profile === undefined &&
      needsLatency(limits, run) && {
        measureLatency: (ranges) => measureWorkspaceLatency(workspace, ranges, { onProgress, signal }),
      }),
    onPart: options.onAnalysis,
    onProgress,
    signal,
  });
  const outcome = await searchPlan(workspace, analysis, { limits, criterion: run.criterion, onProgress, signal });
  const { verify = true } = options;
  const like = writtenLike(original);
  const written = await writeVerified(workspace, outcome, path, { limits, verify, like, onProgress, signal });
  await writeModelFile(written.exported, output, like);
  const plan = await planOf(workspace, analysis, outcome, written, original.bytes, options);
  return { plan, analysis, feasible: plan.unmet.length === 0 };
}

/** Whether time has to be predicted layer by layer; otherwise multiply-accumulates stand for it. */
function needsLatency({ maxLatency }: Limits, { minimize }: Options): boolean {
  return maxLatency !== undefined || minimize === "latency";
}

async function planOf(
  workspace: Workspace,
  { meanSquaredLoss, latency, floatKernels, interactions }: Analysis,
  { problem, groups, result, choices, predict }: SearchOutcome,
  { assignment, verified, undone }: Written,
  floatBytes: number,
  { limits, output }: QuantizeOptions,
): Promise<Plan> {
  const { dataset, model, options, layers, changes } = workspace;
  const chosen = choices(assignment);
  const { loss, used } = predict(assignment);
  const group = new Map(groups.flatMap((g, i) => g.layers.map((node) => [node, i] as const)));
  const { name: metric } = dataset.metric;
  const known = "unverified" in verified ? null : verified;
  const reasons = explainChoices({ problem, result }, assignment);
  const onFloatKernel = new Set(latency === undefined ? floatKernels : []);
  const before = {
    metric,
    value: known?.float ?? null,
    bytes: floatBytes,
    latencyMs: known?.latencyMs.float ?? null,
  };
  const bytes = await modelFileBytes(output);
  const after = { metric, value: known?.quantized ?? null, bytes, latencyMs: known?.latencyMs.quantized ?? null };
  const lossError =
    meanSquaredLoss === undefined || !lossErrorCriteria.has(options.criterion)
      ? null
      : Math.sqrt(loss / meanSquaredLoss);
  const float = predict(groups.map(() => 0)).used;
  const predicted = {
    loss,
    latencyMs: used.latencyMs ?? null,
    floatLatencyMs: float.latencyMs ?? null,
    latencyError: latency === undefined ? null : (typicalError(latency) ?? null),
    latencyProfile: latency?.profile ?? null,
    lossError,
  };
  const verifiedFigures = known === null ? null : verifiedPart(known, undone);
  return {
    version: 1,
    target: options.target,
    method: options.method,
    criterion: options.criterion,
    limits,
    layers: layers.map(({ node, op, weight }) => {
      const at = group.get(node)!;
      const choice = chosen.get(node)!;
      return {
        node,
        op,
        weight: weight?.initializer ?? null,
        weightFormat: choice.weight,
        activationFormat: choice.activation,
        why:
          weight === undefined && groups[at]!.choices.length === 1
            ? "no bytes to save, and its time was not asked for"
            : `${reasons[at]!}${onFloatKernel.has(node) ? "; float activations, which are faster here" : ""}`,
      };
    }),
    keptFloat: keptFloat(model, layers, chosen),
    before,
    after,
    predicted,
    verified: verifiedFigures,
    unmet: unmetLimits(limits, {
      before,
      after,
      predicted,
      verified: verifiedFigures,
      bandAsSearched: result.verdict.excess === 0,
      macs: { float: float.macs!, quantized: used.macs! },
    }),
    unverified: "unverified" in verified ? verified.unverified : null,
    search: {
      evaluations: result.steps.length,
      stopped: result.stopped,
      steps: result.steps,
      samples: dataset.splits.search.length,
      floatMetric: result.steps[0]!.verdict.metric,
      metric: result.verdict.metric,
      divergence: result.verdict.divergence,
      higherIsBetter: dataset.metric.higherIsBetter,
      proof: result.proof ?? null,
      trust:
        result.verdict.metric === null || !predictsLoss(options)
          ? null
          : judgePrediction(
              {
                loss: predict(result.assignment).loss,
                ...errorOfPrediction(interactions, options, choices(result.assignment)),
              },
              result.verdict.divergence,
            ),
    },
    changes,
  };
}

/** The standard error of the loss that projections predict, where it is they that predict. */
function errorOfPrediction(
  interactions: Interactions,
  { criterion, interactions: source }: Options,
  configuration: ReadonlyMap<string, LayerChoice>,
): Pick<Prediction, "standardError"> {
  if (criterion !== "curvature" || source !== "fisher") return {};
  const { standardError } = predictLoss(interactions, chosenIndices(interactions, configuration));
  return standardError === undefined ? {} : { standardError };
}

/** Whether predictions are of the divergence that searches measure. */
function predictsLoss({ criterion, loss }: Options): boolean {
  return loss === undefined && !lossErrorCriteria.has(criterion) && criterion !== "quantization-error";
}

function verifiedPart(
  { float: _, quantized: __, latencyMs: ___, ...verified }: Verification,
  undone: number,
): Verified {
  return { ...verified, undone };
}
