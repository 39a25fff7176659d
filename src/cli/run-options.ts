import { type Command, Option } from "commander";
import { type RangeMethodName, rangeMethods } from "../calibrate/observers.js";
import { type RoundingName, roundings } from "../calibrate/round-weights.js";
import { type TargetName, targets } from "../export/targets/index.js";
import { type Format, formats } from "../formats.js";
import {
  type Arithmetic,
  arithmetics,
  defaults,
  type ReduceRange,
  type RunOptions,
  reduceRanges,
  type SampleRange,
} from "../options.js";
import {
  type LossName,
  lossNames,
  type Probing,
  probings,
  type WeightProbes,
  weightProbes,
} from "../sensitivity/criterion.js";
import { listOf, samples, wholeNumber } from "./arguments.js";
import type { CommonOptions } from "./common-options.js";

/** Options that an analysis depends on. */
export interface AnalysisOptions extends CommonOptions {
  readonly target: TargetName;
  readonly formats: Format[];
  readonly calibration: RangeMethodName;
  readonly rounding: RoundingName;
  readonly reduceRange: ReduceRange;
  readonly loss?: LossName;
  readonly samples: number | SampleRange;
  readonly probes: number;
  readonly probing: Probing;
  readonly weightProbes: WeightProbes;
  readonly batch: number;
  readonly arithmetic: Arithmetic;
}

export function addAnalysisOptions(command: Command): Command {
  const choice = (flags: string, description: string, choices: readonly string[]) =>
    new Option(flags, description).choices(choices);
  const taken = Object.keys(formats) as Format[];
  return command
    .addOption(choice("--target <name>", "engine that the model is for", Object.keys(targets)).default(defaults.target))
    .addOption(
      new Option("--formats <list>", "formats that layers may take besides float")
        .argParser(listOf(taken))
        .default([...defaults.formats], defaults.formats.join()),
    )
    .addOption(
      choice("--calibration <method>", "how ranges of activations are chosen", Object.keys(rangeMethods)).default(
        defaults.calibration,
      ),
    )
    .addOption(choice("--rounding <kind>", "how weights are rounded to integers", roundings).default(defaults.rounding))
    .addOption(
      choice(
        "--reduce-range <when>",
        "7 bits for int8 weights of integer kernels, which saturate on x86 without VNNI: always, never, or as this machine needs",
        reduceRanges,
      ).default(defaults.reduceRange),
    )
    .addOption(choice("--loss <name>", "loss whose rise is predicted (default: that suits the metric)", lossNames))
    .option(
      "--samples <n|a:b>",
      "samples that sensitivities are measured on: n of the search split, or those from a to before b",
      samples,
      defaults.samples,
    )
    .option("--probes <n>", "most Hessian probes a sample", wholeNumber, defaults.probes)
    .addOption(
      choice("--probing <kind>", "Hessian probes of all sites at once, or of one site at a time", probings).default(
        defaults.probing,
      ),
    )
    .addOption(
      choice(
        "--weight-probes <kind>",
        "fresh Hessian probes of weights for every sample, or the same",
        weightProbes,
      ).default(defaults.weightProbes),
    )
    .option("--batch <n>", "samples that run at once", wholeNumber, defaults.batchSize)
    .addOption(
      choice("--arithmetic <kind>", "strict has the same bits on every machine", arithmetics).default(
        defaults.arithmetic,
      ),
    );
}

/** The options of a run as given; what is missing gets its default where they are checked. */
export function runOptions(given: AnalysisOptions): RunOptions {
  const {
    batch: batchSize,
    target,
    formats,
    calibration,
    rounding,
    reduceRange,
    loss,
    samples,
    probes,
    probing,
    weightProbes,
    arithmetic,
    seed,
    threads,
    memory,
  } = given;
  return {
    ...{ target, formats, calibration, rounding, reduceRange, samples, probes, probing, weightProbes, batchSize },
    arithmetic,
    ...(loss !== undefined && { loss }),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
    ...(memory !== undefined && { memory }),
  };
}
