import { type Command, Option } from "commander";

import { type SplitName, splitNames } from "../../data/manifest.js";
import { evaluate } from "../../evaluate-node.js";
import { checkOutputs } from "../../output-paths-node.js";
import { textEvaluation } from "../../report/text-evaluation.js";
import { wholeNumber } from "../arguments.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { addDataOptions, type DataOptions, openData } from "../data-options.js";
import { type Result, run, type Session } from "../session.js";

interface Options extends DataOptions, CommonOptions {
  readonly reference?: string;
  readonly split: SplitName | "all";
  readonly batch?: number;
  readonly engine?: boolean;
}

export function define(command: Command): void {
  addDataOptions(command)
    .argument("<model>", "ONNX model, float or quantized")
    .option("--reference <model>", "model to compare with sample by sample, such as the float one")
    .addOption(new Option("--split <name>", "samples to use").choices([...splitNames, "all"]).default("verify"))
    .option("--batch <n>", "samples that run at once", wholeNumber)
    .option("--engine", "compute with bitwright's engine (--backend) instead of onnxruntime");
  addCommonOptions(command).action((model: string, options: Options) =>
    run(options, (session) => evaluateModel(model, options, session)),
  );
}

async function evaluateModel(model: string, options: Options, session: Session): Promise<Result> {
  const { data, reference, split, batch, engine, threads } = options;
  const { onProgress, signal } = session;
  await checkOutputs([model, data, ...(reference === undefined ? [] : [reference])], [options.json]);
  const result = await evaluate(model, {
    data: await openData(options),
    split,
    ...(reference !== undefined && { reference }),
    ...(batch !== undefined && { batchSize: batch }),
    ...(engine && { engine: { backend: await session.backend(), ...(threads !== undefined && { threads }) } }),
    onProgress,
    signal,
  });
  return { text: textEvaluation(result), data: result };
}
