import { basename } from "node:path";
import type { Command } from "commander";
import { withoutProfile } from "../../analysis.js";
import { bindingOf } from "../../binding.js";
import { readModelFile } from "../../onnx/model-node.js";
import { defaults, resolveOptions } from "../../options.js";
import { addCommonOptions } from "../common-options.js";
import { addDataOptions, type DataOptions, openData } from "../data-options.js";
import { addLimitOptions, type LimitOptions, limitsOf } from "../limit-options.js";
import { addMethodOptions, type MethodOptions, methodParts } from "../method-options.js";
import { profileOption } from "../profile-option.js";
import { type AnalysisOptions, addAnalysisOptions, runOptions } from "../run-options.js";
import { resumableAnalysis } from "../saved-analysis.js";
import { type Result, run, type Session } from "../session.js";
import { besides, type OutputOptions, writeQuantized } from "../write-quantized.js";

interface Options extends DataOptions, AnalysisOptions, LimitOptions, MethodOptions, OutputOptions {
  readonly analysis?: string;
  readonly force?: boolean;
}

export function define(command: Command): void {
  addDataOptions(command)
    .argument("<model>", "float ONNX model")
    .option("-o, --output <file>", "where the quantized model goes (default: NAME.q.onnx in the working directory)");
  addMethodOptions(addLimitOptions(command), defaults.method);
  addAnalysisOptions(command)
    .addOption(profileOption())
    .option("--analysis <file>", "where the analysis is saved and resumed from (default: beside the output)")
    .option("--plan <file>", "where the plan goes (default: beside the output)")
    .option("--report <file>", "where the report goes (default: beside the output)")
    .option("--force", "replace a saved analysis of something else")
    .option("--no-verify", "write the model as searched, without running it in onnxruntime")
    .option("--verbose", "print every layer");
  addCommonOptions(command).action((model: string, given: Options) => {
    const options = { ...given, output: given.output ?? `${basename(model, ".onnx")}.q.onnx` };
    return run(options, (session) => quantizeModel(model, options, session));
  });
}

async function quantizeModel(model: string, options: Options, session: Session): Promise<Result> {
  const limits = limitsOf(options);
  const given = { ...runOptions(options), ...methodParts(options), minimize: options.minimize };
  const dataset = await openData(options);
  const saveAnalysis = options.analysis ?? besides(options.output, "analysis.json");
  // A file that this command named itself is one of its outputs; one that the user named may be hours of work.
  const whenStale = options.force || options.analysis === undefined ? "replace" : "refuse";
  const binding = await bindingOf(await readModelFile(model), dataset, resolveOptions(given));
  const saved = await resumableAnalysis(saveAnalysis, binding, whenStale, session.note);
  // Times of another machine count where they are asked for.
  const known = saved && withoutProfile(saved);
  return writeQuantized(session, { model, dataset, limits, run: given, known, saveAnalysis }, options);
}
