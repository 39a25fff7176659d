import type { Command } from "commander";
import { withoutProfile } from "../../analysis.js";
import { writeAnalysis } from "../../analysis-node.js";
import { type AnalyzeOptions, analyze } from "../../analyze.js";
import { bindingOf } from "../../binding.js";
import { measuredFloatKernels } from "../../cost/float-kernels-node.js";
import { openProfile } from "../../cost/profile-node.js";
import { saturates } from "../../cost/saturation-node.js";
import { measureWorkspaceLatency } from "../../cost/workspace-latency-node.js";
import { methods } from "../../methods.js";
import { readModelFile } from "../../onnx/model-node.js";
import { defaults, resolveOptions } from "../../options.js";
import { checkOutputs } from "../../output-paths-node.js";
import { textAnalysis } from "../../report/text-analysis.js";
import { type CriterionName, criteria } from "../../sensitivity/index.js";
import type { InteractionSource } from "../../sensitivity/interactions.js";
import { openWorkspace } from "../../workspace.js";
import { listOf } from "../arguments.js";
import { addCommonOptions } from "../common-options.js";
import { addDataOptions, type DataOptions, openData } from "../data-options.js";
import { interactionsOption } from "../method-options.js";
import { type ProfileOptions, profileOption } from "../profile-option.js";
import { type AnalysisOptions, addAnalysisOptions, runOptions } from "../run-options.js";
import { resumableAnalysis } from "../saved-analysis.js";
import { type Result, run, type Session } from "../session.js";
import { withWayOn } from "../write-quantized.js";

interface Options extends DataOptions, AnalysisOptions, ProfileOptions {
  readonly output: string;
  readonly criteria?: CriterionName[];
  readonly interactions?: InteractionSource;
  readonly latency?: boolean;
  readonly force?: boolean;
}

export function define(command: Command): void {
  const names = Object.keys(criteria) as CriterionName[];
  addDataOptions(command)
    .argument("<model>", "float ONNX model")
    .requiredOption("-o, --output <file>", "where the analysis is saved as it goes, and resumed from")
    .option(
      "--criteria <list>",
      `what to measure: ${names.join(", ")} (default: what ${defaults.method} needs)`,
      listOf(names),
    )
    .addOption(
      interactionsOption("second-order terms between every two sites (default: those of the default criteria)"),
    );
  command
    .option("--latency", "time the model's parts in onnxruntime too, for limits on latency")
    .addOption(profileOption().conflicts("latency"));
  addAnalysisOptions(command).option("--force", "replace a saved analysis of something else");
  addCommonOptions(command).action((model: string, options: Options) =>
    run(options, (session) => analyzeModel(model, options, session)),
  );
}

async function analyzeModel(path: string, options: Options, session: Session): Promise<Result> {
  const { output, force = false } = options;
  await checkOutputs([path, options.data, options.profile], [output, options.json]);
  const resolved = resolveOptions(runOptions(options));
  const profile = options.profile === undefined ? undefined : await openProfile(options.profile);
  const dataset = await openData(options);
  const model = await readModelFile(path);
  const binding = await bindingOf(model, dataset, resolved);
  const known = await resumableAnalysis(output, binding, force ? "replace" : "refuse", session.note);
  await using workspace = await openWorkspace(await session.backend(), model, dataset, resolved, known);
  const { onProgress, signal } = session;
  const analysis = await analyze(workspace, {
    ...partsOf(options),
    binding,
    known: known && options.latency ? withoutProfile(known) : known,
    profile,
    findSaturation: saturates,
    findFloatKernels: (ranges) => measuredFloatKernels(workspace, ranges, { onProgress, signal }),
    ...(options.latency && {
      measureLatency: (ranges) => measureWorkspaceLatency(workspace, ranges, { onProgress, signal }),
    }),
    onPart: (part) => writeAnalysis(part, output),
    onProgress,
    signal,
  }).catch((error) => {
    throw withWayOn(error, output);
  });
  return { text: `${textAnalysis(analysis)}\n\nwrote ${output}`, data: analysis };
}

/** What to measure; a search by the default method finds all of it where nothing was asked for. */
function partsOf({ criteria, interactions }: Options): Pick<AnalyzeOptions, "criteria" | "interactions"> {
  const method = methods[defaults.method];
  if (criteria !== undefined) return { criteria, interactions: interactions ?? "none" };
  return { criteria: [method.criterion], interactions: interactions ?? method.interactions };
}
