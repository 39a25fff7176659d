// The saved analysis that is damaged.

import { analyze, bindingOf, openDataset, openWorkspace, readModelFile, resolveOptions } from "../../dist/index.js";

/** @typedef {import("../../dist/index.js").Analysis} Analysis */
/** @typedef {import("../../dist/index.js").Backend} Backend */

/** What the analysis is bound to besides its model and data. */
export const analysisOptions = {
  calibration: "minmax",
  formats: ["int8", "int4"],
  samples: 2,
  probes: 1,
  batchSize: 2,
  threads: 1,
};

/**
 * @param {Backend} backend
 * @param {string} path of a model
 * @param {string} manifest
 * @returns {Promise<Analysis>} with criteria and interactions
 */
export async function analysisOf(backend, path, manifest) {
  const [model, dataset, options] = [
    await readModelFile(path),
    await openDataset(manifest),
    resolveOptions(analysisOptions),
  ];
  const workspace = await openWorkspace(backend, model, dataset, options);
  try {
    const binding = await bindingOf(model, dataset, options);
    return await analyze(workspace, { criteria: ["direct", "hessian-trace"], interactions: "fisher", binding });
  } finally {
    await workspace[Symbol.asyncDispose]();
  }
}
