import { crossEntropy } from "./cross-entropy.js";
import { type Metric, weightedMean } from "./metric.js";

/** Exponential of the mean negative log-probability of the labels, over all tokens of all samples. */
export const perplexity: Metric = {
  ...crossEntropy,
  name: "perplexity",
  finish: (scores) => Math.exp(weightedMean(scores)),
};
