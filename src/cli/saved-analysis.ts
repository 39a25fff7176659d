import { existsSync } from "node:fs";
import type { Analysis, Binding } from "../analysis.js";
import { readAnalysis } from "../analysis-node.js";
import { checkBinding } from "../binding.js";
import { BitwrightError } from "../errors.js";
import type { RunOptions } from "../options.js";
import type { CommonOptions } from "./common-options.js";

/**
 * The analysis at `path` as a starting point; undefined when there is none.
 * @param whenStale - Whether one that belongs to something else is refused, or made anew in its place.
 * @throws BitwrightError `stale-analysis`, `invalid-data`, `io`.
 */
export async function resumableAnalysis(
  path: string,
  binding: Binding,
  whenStale: "refuse" | "replace",
  note: (line: string) => void,
): Promise<Analysis | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    const saved = await readAnalysis(path);
    checkBinding(saved, binding);
    note(`going on from ${path}`);
    return saved;
  } catch (error) {
    if (!(error instanceof BitwrightError) || !["stale-analysis", "invalid-data"].includes(error.code)) throw error;
    if (whenStale === "refuse") {
      const { code, summary, expected, received } = error;
      throw new BitwrightError(code, summary, {
        where: path,
        ...(expected !== undefined && { expected }),
        ...(received !== undefined && { received }),
        remedy: "Use the model, data and options that it was made with, or --force to make it anew.",
        cause: error,
      });
    }
    note(`${path} is made anew: ${error.message}`);
    return undefined;
  }
}

/** The options that an analysis was made with, and those of this run that may differ; they are checked where they are used. */
export function analysisRunOptions({ binding }: Analysis, { seed, threads, memory }: CommonOptions): RunOptions {
  return {
    ...(Object.fromEntries(Object.entries(binding.options).filter(([, value]) => value !== null)) as RunOptions),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
    ...(memory !== undefined && { memory }),
  };
}
