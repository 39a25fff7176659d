import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { BitwrightError } from "../errors.js";
import type { Dataset } from "./dataset.js";
import { Field } from "./field.js";
import { diskFiles } from "./files-node.js";
import { decodeWithSharp } from "./images-node.js";
import { parseJson } from "./json.js";
import type { DatasetManifest } from "./manifest.js";
import { type CustomMetric, customMetric } from "./metrics/custom.js";
import { loadMetric } from "./metrics/load-node.js";
import { openManifest } from "./open.js";

export interface OpenDatasetOptions {
  /** Folder that relative paths start from. Default: the manifest's own, or the working directory for an object. */
  readonly baseDir?: string;
  /** Takes the place of the manifest's metric: an object, a function, or the path of a module that exports one. */
  readonly metric?: CustomMetric | string;
}

/**
 * Opens a data set by its manifest, a path or the document itself. Headers, lists and labels are read and checked; samples
 * are read when they are asked for.
 * @throws BitwrightError `invalid-data` for anything wrong in the manifest or a file it names, `io` for unreadable files.
 */
export async function openDataset(
  manifest: string | DatasetManifest,
  options: OpenDatasetOptions = {},
): Promise<Dataset> {
  const root = typeof manifest === "string" ? await readManifest(manifest) : new Field("manifest", "", manifest);
  const folder = options.baseDir ?? (typeof manifest === "string" ? dirname(resolve(manifest)) : process.cwd());
  const { metric } = options;
  const own = typeof metric === "string" ? await loadMetric(metric) : metric && customMetric(metric, "metric");
  return openManifest(root, { files: diskFiles(folder), decodeImage: decodeWithSharp }, own);
}

async function readManifest(path: string): Promise<Field> {
  try {
    return parseJson(await readFile(path, "utf8"), path);
  } catch (cause) {
    if (cause instanceof BitwrightError) throw cause;
    throw new BitwrightError("io", "the manifest cannot be read", { where: path, cause });
  }
}
