import type { Judgement } from "../judge/judge.js";
import { duration } from "./units.js";

/** Headings of the rows of {@link judgementRows}; those that start with # are of numbers. */
export const judgementHeadings = [
  "predictor",
  "#seconds",
  "#sites: Spearman",
  "#Kendall",
  "#in narrowest formats",
  "#wholes: Spearman",
  "#Kendall",
  "#ratio",
  "#slope",
  "#median error",
];

/** A row of figures for each predictor: agreement over all sites of all formats, Spearman's over the sites in their narrowest formats, agreement over whole configurations, calibration of the mild ones. */
export function judgementRows({ predictors }: Judgement): string[][] {
  return predictors.map(({ name, seconds, all, narrowest, whole, mild }) => [
    name,
    seconds === null ? "" : duration(1000 * seconds),
    figure(all?.spearman),
    figure(all?.kendall),
    figure(narrowest?.spearman),
    figure(whole.spearman),
    figure(whole.kendall),
    figure(mild?.ratio),
    figure(mild?.slope),
    mild === null ? "" : `${(100 * mild.medianError).toFixed(0)} %`,
  ]);
}

function figure(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "" : value.toFixed(3);
}
