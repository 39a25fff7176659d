import { type Command, Option } from "commander";
import { type MethodName, methods } from "../methods.js";
import type { RunOptions } from "../options.js";
import { type SearchName, searches } from "../search/index.js";
import { type CriterionName, criteria } from "../sensitivity/index.js";
import { type InteractionSource, interactionSources } from "../sensitivity/interactions.js";

/** How a configuration is found. */
export interface MethodOptions {
  readonly method?: MethodName;
  readonly criterion?: CriterionName;
  readonly interactions?: InteractionSource;
  readonly search?: SearchName;
}

export function addMethodOptions(command: Command, defaultMethod: string): Command {
  const choice = (flags: string, description: string, registry: object) =>
    new Option(flags, description).choices(Object.keys(registry));
  return command
    .addOption(
      choice("--method <name>", `how sensitivities are predicted and searched (default: ${defaultMethod})`, methods),
    )
    .addOption(choice("--criterion <name>", "another criterion than the method's", criteria))
    .addOption(interactionsOption("terms between sites from another source than the method's"))
    .addOption(choice("--search <name>", "another search than the method's", searches));
}

export function interactionsOption(description: string): Option {
  return new Option("--interactions <source>", description).choices(interactionSources);
}

/** The parts that were given; what is missing gets its default where options are checked. */
export function methodParts({ method, criterion, interactions, search }: MethodOptions): RunOptions {
  return {
    ...(method !== undefined && { method }),
    ...(criterion !== undefined && { criterion }),
    ...(interactions !== undefined && { interactions }),
    ...(search !== undefined && { search }),
  };
}
