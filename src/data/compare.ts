import type { Dataset } from "./dataset.js";
import { compareFigures, type FigureChange } from "./figure-change.js";
import type { Scored } from "./metrics/scorer.js";
import { comparePaired, type PairedComparison } from "./statistics.js";

/** Two models on the same samples. */
export interface Comparison {
  /** Samples that one of the models alone has right; null for metrics that do not judge single samples. */
  readonly flips: { readonly lost: number; readonly gained: number } | null;
  /** null like flips, and where samples are steps of sequences: its statistics take samples for independent of each other. */
  readonly paired: PairedComparison | null;
  readonly change: FigureChange;
}

export function compareScored({ metric, sequences }: Dataset, float: Scored, quantized: Scored): Comparison {
  const pairs =
    float.scores.correct && quantized.scores.correct
      ? comparePaired(float.scores.correct, quantized.scores.correct)
      : null;
  return {
    flips: pairs && { lost: pairs.lost, gained: pairs.gained },
    paired: sequences === undefined ? pairs : null,
    change: compareFigures(metric, float, quantized, sequences),
  };
}
