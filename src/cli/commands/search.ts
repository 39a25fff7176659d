import { type Command, Option } from "commander";
import type { Analysis } from "../../analysis.js";
import { readAnalysis } from "../../analysis-node.js";
import { openDataset } from "../../data/open-node.js";
import { BitwrightError } from "../../errors.js";
import type { RunOptions } from "../../options.js";
import { type CriterionName, criteria } from "../../sensitivity/index.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { addLimitOptions, type LimitOptions, limitsOf } from "../limit-options.js";
import { type Result, run, type Session } from "../session.js";
import { type OutputOptions, writeQuantized } from "../write-quantized.js";

interface Options extends CommonOptions, LimitOptions, OutputOptions {
  readonly data: string;
  readonly analysis: string;
  readonly method?: CriterionName;
}

export function define(command: Command): void {
  command
    .argument("<model>", "float ONNX model")
    .requiredOption("--data <manifest>", "the data set's dataset.json")
    .requiredOption(
      "--analysis <file>",
      "what `analyze` saved; formats, samples and the like are those it was made with",
    )
    .requiredOption("-o, --output <file>", "where the quantized model goes");
  addLimitOptions(command)
    .addOption(
      new Option("--method <criterion>", "which of the analysis's criteria to use (default: its first)").choices(
        Object.keys(criteria),
      ),
    )
    .option("--plan <file>", "where the plan goes (default: beside the output)")
    .option("--report <file>", "where the report goes (default: beside the output)")
    .option("--verbose", "print every layer");
  addCommonOptions(command).action((model: string, options: Options) =>
    run(options, (session) => searchModel(model, options, session)),
  );
}

async function searchModel(model: string, options: Options, session: Session): Promise<Result> {
  const limits = limitsOf(options);
  const known = await readAnalysis(options.analysis);
  const { seed, threads, search } = options;
  const given: RunOptions = {
    ...optionsOf(known),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
    search,
    method: criterionOf(known, options),
  };
  const dataset = await openDataset(options.data);
  return writeQuantized(session, { model, dataset, limits, run: given, known }, options);
}

/** The options that an analysis was made with; they are checked where they are used. */
function optionsOf({ binding }: Analysis): RunOptions {
  return Object.fromEntries(Object.entries(binding.options).filter(([, value]) => value !== null)) as RunOptions;
}

function criterionOf({ criteria: known }: Analysis, { method, analysis }: Options): CriterionName {
  const names = Object.keys(known) as CriterionName[];
  const name = method ?? names[0];
  if (name !== undefined && names.includes(name)) return name;
  throw new BitwrightError("invalid-option", "the analysis does not have this criterion", {
    where: analysis,
    expected: names.join(", ") || "an analysis that has ended",
    received: name ?? "an analysis without any criterion",
    remedy: "Let analyze go on with --criteria.",
  });
}
