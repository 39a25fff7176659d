import { type Command, Option } from "commander";
import { parseKeep, parseMaxKl } from "../data/band.js";
import { BitwrightError } from "../errors.js";
import { defaults, type Limits } from "../options.js";
import { type SearchName, searches } from "../search/index.js";

/** What the result has to keep, and how it is searched. */
export interface LimitOptions {
  readonly keep?: number;
  readonly maxKl?: number;
  readonly search: SearchName;
}

export function addLimitOptions(command: Command): Command {
  return command
    .option("--keep <share>", "share of the float model's figure that must remain, such as 99.9%", parseKeep)
    .option("--max-kl <nats>", "largest mean KL divergence from the float model", parseMaxKl)
    .addOption(
      new Option("--search <name>", "how configurations are searched")
        .choices(Object.keys(searches))
        .default(defaults.search),
    );
}

/** @throws BitwrightError `invalid-option` without any limit. */
export function limitsOf({ keep, maxKl }: LimitOptions): Limits {
  if (keep === undefined && maxKl === undefined) {
    throw new BitwrightError("invalid-option", "a limit is missing", {
      expected: "--keep, --max-kl or both",
      remedy: "Say what the model has to keep, for example --keep 99%",
    });
  }
  return { ...(keep !== undefined && { keep }), ...(maxKl !== undefined && { maxKl }) };
}
