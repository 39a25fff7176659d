import { type Command, Option } from "commander";
import { type Amount, countUnits, parseAmount, sizeUnits, timeUnits, type Units } from "../amount.js";
import { parseKeep, parseMaxDrop, parseMaxKl, parseMaxLossError, parseReach } from "../data/band.js";
import { BitwrightError } from "../errors.js";
import { defaults, type Limits, type Objective, objectives } from "../options.js";

/** What the result has to meet, and what is made small. */
export interface LimitOptions extends Limits {
  readonly minimize: Objective;
}

export function addLimitOptions(command: Command): Command {
  const amount = (units: Units, name: string) => (text: string) => parseAmount(text, units, name);
  return command
    .option("--keep <share>", "share of the float model's figure that must remain, such as 99.9%", parseKeep)
    .option("--max-drop <amount>", "most that the figure may become worse, in its unit: 0.1, or 0.5%", parseMaxDrop)
    .option("--reach <figure>", "figure that must be reached, in its unit: 30, or 75%", parseReach)
    .option("--max-kl <nats>", "largest mean KL divergence from the float model", parseMaxKl)
    .option("--max-size <amount>", "largest file: 4MB, 30% or -70%", amount(sizeUnits, "max-size"))
    .option("--max-latency <amount>", "longest time for one sample: 3ms, 75% or -25%", amount(timeUnits, "max-latency"))
    .option(
      "--max-macs <amount>",
      "most multiply-accumulates, by width: 50M, 30% or -70%",
      amount(countUnits, "max-macs"),
    )
    .option(
      "--max-loss-error <share>",
      "largest error of the loss as loss-mse predicts it, as a share of the loss: 2%",
      parseMaxLossError,
    )
    .addOption(
      new Option("--minimize <what>", "what is made as small as the limits allow")
        .choices(objectives)
        .default(defaults.minimize),
    );
}

/** @throws BitwrightError `invalid-option` without any limit. */
export function limitsOf(options: LimitOptions): Limits {
  const { keep, maxDrop, reach, maxKl, maxSize, maxLatency, maxMacs, maxLossError } = options;
  const limits = {
    ...given("keep", keep),
    ...given("maxDrop", maxDrop),
    ...given("reach", reach),
    ...given("maxKl", maxKl),
    ...given("maxSize", maxSize),
    ...given("maxLatency", maxLatency),
    ...given("maxMacs", maxMacs),
    ...given("maxLossError", maxLossError),
  };
  if (Object.keys(limits).length > 0) return limits;
  throw new BitwrightError("invalid-option", "a limit is missing", {
    expected:
      "--keep, --max-drop, --reach, --max-kl, --max-size, --max-latency, --max-macs, --max-loss-error, or several of them",
    remedy: "Say what the model has to keep, for example --keep 99%",
  });
}

function given<Name extends string, Value extends number | Amount>(name: Name, value: Value | undefined) {
  return (value === undefined ? {} : { [name]: value }) as { readonly [key in Name]?: Value };
}
