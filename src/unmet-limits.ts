import { resolveAmount } from "./amount.js";
import type { Limits } from "./options.js";
import type { Plan } from "./plan.js";

/** What is known of a written file and its configuration. */
export interface LimitFigures extends Pick<Plan, "before" | "after" | "predicted" | "verified"> {
  /** Whether the search found the configuration inside the band. */
  readonly bandAsSearched: boolean;
  /** Multiply-accumulates counted by width, of the float model and of the configuration. */
  readonly macs: { readonly float: number; readonly quantized: number };
}

/**
 * Names of the limits that a written file does not meet: as verified and measured, or as predicted where it was not run. Times on this machine say nothing of
 * those that come from a profile.
 */
export function unmetLimits(
  { maxSize, maxLatency, maxMacs, maxLossError }: Limits,
  figures: LimitFigures,
): (keyof Limits | "band")[] {
  const { before, after, predicted, verified, bandAsSearched, macs } = figures;
  const unmet: (keyof Limits | "band")[] = [];
  if (!(verified?.withinBand ?? bandAsSearched)) unmet.push("band");
  if (maxSize !== undefined && after.bytes > resolveAmount(maxSize, before.bytes)) unmet.push("maxSize");
  if (maxLatency !== undefined) {
    const measured = predicted.latencyProfile === null ? verified : null;
    const float = (measured === null ? predicted.floatLatencyMs : before.latencyMs) ?? Number.NaN;
    // The ratio of interleaved runs is steadier than the two medians.
    const taken = measured === null ? (predicted.latencyMs ?? Number.NaN) : measured.latencyRatio * float;
    if (!(taken <= resolveAmount(maxLatency, float))) unmet.push("maxLatency");
  }
  if (maxMacs !== undefined && macs.quantized > resolveAmount(maxMacs, macs.float)) unmet.push("maxMacs");
  // Its square was held to the limit's, and rounding is not to undo that.
  if (maxLossError !== undefined && !(predicted.lossError! <= maxLossError * (1 + 1e-9))) unmet.push("maxLossError");
  return unmet;
}
