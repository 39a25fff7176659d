import type { SensitivityContext } from "./criterion.js";

/** How many samples go through the network in one pass over those that were chosen: all of the data set where they belong to one whole. */
export function samplesRun({ dataset, samples }: Pick<SensitivityContext, "dataset" | "samples">): number {
  return dataset.transductive ? dataset.size : samples.length;
}
