import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Analysis } from "./analysis.js";
import { analyze } from "./analyze.js";
import type { Backend } from "./backend/backend.js";
import { loadBackend } from "./backend/load-node.js";
import { bindingOf } from "./binding.js";
import { measuredFloatKernels } from "./cost/float-kernels-node.js";
import { measureWorkspaceLatency } from "./cost/workspace-latency-node.js";
import type { Dataset } from "./data/dataset.js";
import { openDataset } from "./data/open-node.js";
import { requireSamples } from "./data/splits.js";
import { BitwrightError } from "./errors.js";
import { exportModel } from "./export/qdq.js";
import type { OnnxModel } from "./onnx/model.js";
import { modelFileBytes, readModelFile, writeModelFile } from "./onnx/model-node.js";
import { type Limits, type Options, type RunOptions, resolveOptions } from "./options.js";
import { explain, type Plan, type Verified } from "./plan.js";
import type { Control } from "./progress.js";
import { lower } from "./search/levels.js";
import type { Assignment, SearchGroup } from "./search/problem.js";
import { fewestUndone } from "./search/undo.js";
import { type SearchOutcome, searchPlan } from "./search-plan.js";
import { type Inspection, type Judgement, Verifier } from "./verify-node.js";
import { openWorkspace, type Workspace } from "./workspace.js";

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
  /** Called whenever a part of the analysis is done, so that an interrupted run can be resumed. */
  readonly onAnalysis?: (analysis: Analysis) => Promise<void> | void;
}

export interface QuantizeResult {
  readonly plan: Plan;
  readonly analysis: Analysis;
  /** Whether the limits are met, on the verify split where it was run. */
  readonly feasible: boolean;
}

/**
 * The whole road: reads a float ONNX model, calibrates, scores its layers, searches a configuration inside the limits, writes it, and verifies the written
 * file in onnxruntime on samples that nothing else has seen. When verification fails, the lowerings made last are taken back until it holds.
 * @param path - The float model.
 * @throws BitwrightError; nothing is left at `output` then, and a file that was there is still there.
 */
export async function quantize(path: string, options: QuantizeOptions): Promise<QuantizeResult> {
  const run = resolveOptions(options);
  const { limits, output, onProgress, signal } = options;
  const original = await readModelFile(path);
  const dataset = typeof options.data === "string" ? await openDataset(options.data) : options.data;
  requireSamples(dataset.splits, ["verify"]);
  const backend = options.backend ?? (await loadBackend());
  const binding = await bindingOf(original, dataset, run, options.analysis);
  await using workspace = await openWorkspace(backend, original, dataset, run);
  const analysis = await analyze(workspace, {
    criteria: [run.criterion],
    interactions: run.interactions,
    binding,
    known: options.analysis,
    findFloatKernels: (ranges) => measuredFloatKernels(workspace, ranges, { onProgress, signal }),
    ...(needsLatency(limits, run) && {
      measureLatency: (ranges) => measureWorkspaceLatency(workspace, ranges, { onProgress, signal }),
    }),
    onPart: options.onAnalysis,
    onProgress,
    signal,
  });
  const outcome = await searchPlan(workspace, analysis, { limits, criterion: run.criterion, onProgress, signal });
  const written = await writeVerified(workspace, outcome, path, options);
  const plan = await planOf(workspace, outcome, written, path, options);
  await writeModelFile(written.exported, output);
  return { plan, analysis, feasible: outcome.result.verdict.feasible && (plan.verified?.withinBand ?? true) };
}

/** Whether time has to be predicted layer by layer; otherwise multiply-accumulates stand for it. */
function needsLatency({ maxLatency }: Limits, { minimize }: Options): boolean {
  return maxLatency !== undefined || minimize === "latency";
}

/** A configuration as a file, and what became of its verification. */
interface Written {
  readonly assignment: Assignment;
  readonly exported: OnnxModel;
  readonly bytes: number;
  readonly verified: Verification | Unverified;
  /** Lowerings taken back because an earlier file failed. */
  readonly undone: number;
}

type Verification = Judgement & Inspection;

interface Unverified {
  readonly unverified: string;
}

/** Exports the found configuration and verifies the file; takes back the fewest lowerings with which one holds. */
async function writeVerified(
  { model, dataset, divergence, options }: Workspace,
  { groups, result, layout }: SearchOutcome,
  path: string,
  { limits, onProgress, signal }: QuantizeOptions,
): Promise<Written> {
  const control = { onProgress, signal };
  const verifier = new Verifier(path, dataset, { divergence, limits, batchSize: options.batchSize });
  const float = groups.map(() => 0);
  const { lowered } = result;
  const folder = await mkdtemp(join(tmpdir(), "bitwright-"));
  const judged = new Map<string, Judgement | Unverified>();
  const files = new Map<string, string>();
  const fileOf = (assignment: Assignment): string => {
    const key = assignment.join();
    const file = files.get(key) ?? join(folder, `${files.size}.onnx`);
    files.set(key, file);
    return file;
  };
  const judge = async (assignment: Assignment): Promise<boolean> => {
    const file = fileOf(assignment);
    await writeModelFile(exportModel(model, layout(assignment)), file);
    const judgement = await ifPossible(() => verifier.judge(file, control), signal);
    judged.set(file, judgement);
    return "unverified" in judgement || judgement.withinBand;
  };
  const assignmentWithout = (undone: number) => lower(float, lowered.slice(0, lowered.length - undone));
  try {
    const undone = await fewestUndone(lowered.length, (count) => judge(assignmentWithout(count)));
    const kept = assignmentWithout(undone);
    // What had to go back to float may still be stored narrow, where its activations were what did the harm.
    const stored = weightsAlone(groups, kept, lower(float, lowered));
    const assignment = undone > 0 && (await judge(stored)) ? stored : kept;
    const file = fileOf(assignment);
    if (!judged.has(file)) await judge(assignment);
    const judgement = judged.get(file)!;
    const inspection = await ifPossible(() => verifier.inspect(model, layout(assignment), file, control), signal);
    return {
      assignment,
      exported: exportModel(model, layout(assignment)),
      bytes: await modelFileBytes(file),
      verified:
        "unverified" in judgement
          ? judgement
          : "unverified" in inspection
            ? inspection
            : { ...judgement, ...inspection },
      undone,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The groups that are float now but were not as searched, with int8 weights alone where that is offered. */
function weightsAlone(groups: readonly SearchGroup[], now: Assignment, searched: Assignment): Assignment {
  return now.map((choice, g) => {
    if (choice !== 0 || searched[g] === 0) return choice;
    const at = groups[g]!.choices.findIndex(
      ({ choice: { weight, activation } }) => weight === "int8" && activation === "float",
    );
    return Math.max(0, at);
  });
}

/** A user who stops the work, or has no onnxruntime-node, gets the file that the engine's own evaluation stands for. */
async function ifPossible<T>(verify: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | Unverified> {
  try {
    return await verify();
  } catch (error) {
    if (signal?.aborted) return { unverified: "the work was stopped before" };
    if (error instanceof BitwrightError && error.code === "runtime-missing") {
      return { unverified: `${error.summary}. ${error.remedy}` };
    }
    throw error;
  }
}

async function planOf(
  workspace: Workspace,
  { groups, result, choices, predict }: SearchOutcome,
  { assignment, bytes, verified, undone }: Written,
  path: string,
  { limits }: QuantizeOptions,
): Promise<Plan> {
  const { dataset, options, layers, changes } = workspace;
  const chosen = choices(assignment);
  const { loss, used } = predict(assignment);
  const group = new Map(groups.flatMap((g, i) => g.layers.map((node) => [node, i] as const)));
  const { name: metric } = dataset.metric;
  const known = "unverified" in verified ? null : verified;
  const takenBack = new Set(result.lowered.slice(result.lowered.length - undone).map((lowering) => lowering.group));
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
        weight: weight.initializer,
        weightFormat: choice.weight,
        activationFormat: choice.activation,
        why: explain(groups[at]!, assignment[at]!, takenBack.has(at)),
      };
    }),
    before: {
      metric,
      value: known?.float ?? null,
      bytes: await modelFileBytes(path),
      latencyMs: known?.latencyMs.float ?? null,
    },
    after: { metric, value: known?.quantized ?? null, bytes, latencyMs: known?.latencyMs.quantized ?? null },
    predicted: { loss, latencyMs: used.latencyMs ?? null },
    verified: known === null ? null : verifiedPart(known, undone),
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
    },
    changes,
  };
}

function verifiedPart(
  { float: _, quantized: __, latencyMs: ___, ...verified }: Verification,
  undone: number,
): Verified {
  return { ...verified, undone };
}
