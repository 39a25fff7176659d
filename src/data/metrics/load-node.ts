import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { BitwrightError } from "../../errors.js";
import { customMetric } from "./custom.js";
import type { Metric } from "./metric.js";

/**
 * Loads the default export of a JavaScript module as a metric. This runs the module, so its path comes from the user and
 * never from a manifest, which may be somebody else's file.
 */
export async function loadMetric(path: string): Promise<Metric> {
  let module: { default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    throw new BitwrightError("io", "the metric's module cannot be loaded", { where: path, cause });
  }
  return customMetric(module.default, path);
}
