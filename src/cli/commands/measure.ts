import { basename } from "node:path";
import type { Command } from "commander";
import { type Latency, measureLatency } from "../../cost/latency-node.js";
import type { Dataset } from "../../data/dataset.js";
import { openDataset } from "../../data/open-node.js";
import { checkOutputs } from "../../output-paths-node.js";
import { columns } from "../../report/columns.js";
import { milliseconds } from "../../report/units.js";
import type { Feeds } from "../../tensor.js";
import { wholeNumber } from "../arguments.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { machine } from "../machine.js";
import { type Result, run, type Session } from "../session.js";

interface Options extends CommonOptions {
  readonly data: string;
  readonly repeats?: number;
  readonly warmup?: number;
}

export function define(command: Command): void {
  command
    .argument("<models...>", "ONNX models; ratios refer to the first")
    .requiredOption("--data <manifest>", "the data set's dataset.json, for one sample of input")
    .option("--repeats <n>", "timed runs of each model", wholeNumber)
    .option("--warmup <n>", "runs before those", wholeNumber);
  addCommonOptions(command).action((models: string[], options: Options) =>
    run(options, (session) => measure(models, options, session)),
  );
}

async function measure(paths: readonly string[], options: Options, session: Session): Promise<Result> {
  const { repeats, warmup, threads } = options;
  await checkOutputs([...paths, options.data], [options.json]);
  const models = paths.map((path) => ({ name: basename(path), model: path }));
  const latencies = await measureLatency(models, await oneSample(await openDataset(options.data)), {
    ...(repeats !== undefined && { repeats }),
    ...(warmup !== undefined && { warmup }),
    ...(threads !== undefined && { threads }),
    onProgress: session.onProgress,
    signal: session.signal,
  });
  return { text: table(latencies), data: { machine: machine(), models: latencies } };
}

function table(latencies: readonly Latency[]): string {
  const rows = latencies.map(({ name, median, quartiles: [low, high], ratio }) => [
    name,
    milliseconds(median),
    `${milliseconds(low)} to ${milliseconds(high)}`,
    `${ratio.toFixed(3)} x`,
  ]);
  return columns([["model", "median", "quartiles", "to the first"], ...rows]).join("\n");
}

async function oneSample(dataset: Dataset): Promise<Feeds> {
  for await (const { feeds } of dataset.batches([0], 1)) return feeds;
  return {};
}
