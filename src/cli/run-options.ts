import { type Command, Option } from "commander";
import { type RangeMethodName, rangeMethods } from "../calibrate/observers.js";
import { type TargetName, targets } from "../export/targets/index.js";
import { type Format, formats } from "../formats.js";
import { type Arithmetic, arithmetics, type RunOptions, type SampleRange } from "../options.js";
import { type LossName, lossNames } from "../sensitivity/criterion.js";
import { listOf, samples, wholeNumber } from "./arguments.js";
import type { CommonOptions } from "./common-options.js";

/** Options that an analysis depends on. */
export interface AnalysisOptions extends CommonOptions {
  readonly target?: TargetName;
  readonly formats?: Format[];
  readonly calibration?: RangeMethodName;
  readonly loss?: LossName;
  readonly samples?: number | SampleRange;
  readonly probes?: number;
  readonly batch?: number;
  readonly arithmetic?: Arithmetic;
}

export function addAnalysisOptions(command: Command): Command {
  return command
    .addOption(new Option("--target <name>", "engine that the model is for").choices(Object.keys(targets)))
    .option("--formats <list>", "formats that layers may take besides float", listOf(Object.keys(formats) as Format[]))
    .addOption(
      new Option("--calibration <method>", "how ranges of activations are chosen").choices(Object.keys(rangeMethods)),
    )
    .addOption(new Option("--loss <name>", "loss whose rise is predicted").choices([...lossNames]))
    .option(
      "--samples <n|a:b>",
      "samples that sensitivities are measured on: n of the search split, or those from a to b",
      samples,
    )
    .option("--probes <n>", "most Hessian probes a sample", wholeNumber)
    .option("--batch <n>", "samples that run at once", wholeNumber)
    .addOption(
      new Option("--arithmetic <flavour>", "fast, or strict: the same bits on every machine and backend").choices([
        ...arithmetics,
      ]),
    );
}

/** The options of a run as given; what is missing gets its default where they are checked. */
export function runOptions(given: AnalysisOptions): RunOptions {
  const { batch: batchSize, target, formats, calibration, loss, samples, probes, arithmetic, seed, threads } = given;
  const all = { target, formats, calibration, loss, samples, probes, batchSize, arithmetic, seed, threads };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
