import type { Command } from "commander";
import type { Dataset } from "../data/dataset.js";
import { openDataset } from "../data/open-node.js";

/** Which data set, and how answers are judged on it. */
export interface DataOptions {
  readonly data: string;
  readonly metric?: string;
}

export function addDataOptions(command: Command): Command {
  return command
    .requiredOption("--data <manifest>", "the data set's dataset.json")
    .option("--metric <module>", "a metric of your own: a JavaScript module that exports it by default");
}

export function openData({ data, metric }: DataOptions): Promise<Dataset> {
  return openDataset(data, { ...(metric !== undefined && { metric }) });
}
