import { type Command, Option } from "commander";
import type { BackendName } from "../backend/load-node.js";
import { bytes, wholeNumber } from "./arguments.js";

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: string;
  readonly seed?: number;
  readonly backend?: BackendName;
  readonly threads?: number;
  readonly memory?: number;
  readonly quiet?: boolean;
}

export function addCommonOptions(command: Command): Command {
  return command
    .option("--json <file>", "write the result as JSON; - is standard output")
    .option("--seed <n>", "seed of everything random", wholeNumber)
    .addOption(new Option("--backend <name>", "engine to compute with").choices(["native", "wasm"]))
    .option("--threads <n>", "threads to compute with", wholeNumber)
    .option(
      "--memory <size>",
      "most memory for the engine's tensors, as 4GB; work is then done in smaller parts",
      bytes,
    )
    .option("--quiet", "print nothing but errors");
}
