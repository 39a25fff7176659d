import type { Command } from "commander";
import type { Analysis } from "../../analysis.js";
import { readAnalysis } from "../../analysis-node.js";
import { BitwrightError } from "../../errors.js";
import { type Method, type MethodName, methods } from "../../methods.js";
import { type Options as ResolvedOptions, type RunOptions, resolveOptions } from "../../options.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { addDataOptions, type DataOptions, openData } from "../data-options.js";
import { addLimitOptions, type LimitOptions, limitsOf } from "../limit-options.js";
import { addMethodOptions, type MethodOptions, methodParts } from "../method-options.js";
import { profileOption } from "../profile-option.js";
import { analysisRunOptions } from "../saved-analysis.js";
import { type Result, run, type Session } from "../session.js";
import { type OutputOptions, writeQuantized } from "../write-quantized.js";

interface Options extends DataOptions, CommonOptions, LimitOptions, MethodOptions, OutputOptions {
  readonly analysis: string;
}

export function define(command: Command): void {
  addDataOptions(command)
    .argument("<model>", "float ONNX model")
    .requiredOption(
      "--analysis <file>",
      "what `analyze` saved; formats, samples and the like are those it was made with",
    )
    .requiredOption("-o, --output <file>", "where the quantized model goes");
  addMethodOptions(addLimitOptions(command), "the first that the analysis has all of")
    .addOption(profileOption())
    .option("--plan <file>", "where the plan goes (default: beside the output)")
    .option("--report <file>", "where the report goes (default: beside the output)")
    .option("--no-verify", "write the model as searched, without running it in onnxruntime")
    .option("--verbose", "print every layer");
  addCommonOptions(command).action((model: string, options: Options) =>
    run(options, (session) => searchModel(model, options, session)),
  );
}

async function searchModel(model: string, options: Options, session: Session): Promise<Result> {
  const limits = limitsOf(options);
  const known = await readAnalysis(options.analysis);
  const given: RunOptions = {
    ...analysisRunOptions(known, options),
    minimize: options.minimize,
    ...methodParts(options),
    method: options.method ?? methodOf(known),
  };
  checkParts(known, resolveOptions(given), options);
  const dataset = await openData(options);
  return writeQuantized(session, { model, dataset, limits, run: given, known }, options);
}

/** The first method that an analysis has all parts of; with parts of the user's choice any would do. */
function methodOf({ criteria, interactions: { source } }: Analysis): MethodName {
  const names = Object.keys(methods) as MethodName[];
  const has = ({ criterion, interactions }: Method) =>
    criteria[criterion] !== undefined && ["none", source].includes(interactions);
  return names.find((name) => has(methods[name])) ?? names[0]!;
}

/** @throws BitwrightError `invalid-option` when the analysis does not have what the search goes by. */
function checkParts(
  { criteria, interactions: { source } }: Analysis,
  run: ResolvedOptions,
  { analysis }: Options,
): void {
  const lacks = (what: string, flag: string, expected: string, received: string) =>
    new BitwrightError("invalid-option", `the analysis does not have ${what}`, {
      where: analysis,
      expected,
      received,
      remedy: `Let analyze go on with ${flag}.`,
    });
  if (criteria[run.criterion] === undefined) {
    const known = Object.keys(criteria).join(", ") || "an analysis that has ended";
    throw lacks("this criterion", `--criteria ${run.criterion}`, known, run.criterion);
  }
  if (!["none", source].includes(run.interactions)) {
    throw lacks("these interactions", `--interactions ${run.interactions}`, source, run.interactions);
  }
}
