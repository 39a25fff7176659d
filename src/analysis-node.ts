import { readFile } from "node:fs/promises";
import type { Analysis } from "./analysis.js";
import { parseJson } from "./data/json.js";
import { demand } from "./given.js";
import { guardIo, replaceTextFile } from "./io-node.js";
import { parseAnalysis } from "./parse-analysis.js";

/**
 * Reads a saved analysis.
 * @throws BitwrightError `io`; `invalid-data` when it is not one.
 */
export async function readAnalysis(path: string): Promise<Analysis> {
  return parseAnalysis(parseJson(await guardIo(path, () => readFile(path, "utf8")), path));
}

/** Saves an analysis; at any moment the path holds the earlier one or the whole new one. */
export async function writeAnalysis(analysis: Analysis, path: string): Promise<void> {
  demand("analysis", analysis);
  demand("path", path);
  return replaceTextFile(path, `${JSON.stringify(analysis)}\n`);
}
