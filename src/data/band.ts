import { BitwrightError } from "../errors.js";

/** What a quantized model has to keep. Every limit that is given holds. */
export interface Band {
  /** Share of the float model's figure that must remain, in (0, 1]: quantized / float, or float / quantized for errors. */
  readonly keep?: number;
  /** Largest mean KL divergence from the float model, in nats. */
  readonly maxKl?: number;
}

/** Figures of both models on the same samples. */
export interface BandResult {
  readonly float: number;
  readonly quantized: number;
  readonly higherIsBetter: boolean;
  /** Mean KL divergence from the float model in nats; needed for `maxKl`. */
  readonly kl?: number;
}

/** Parses "99.9%", or a share such as 0.999. */
export function parseKeep(text: string | number): number {
  const keep = shareOf(text);
  if (keep > 0 && keep <= 1) return keep;
  throw new BitwrightError("invalid-option", "unusable share of the float model's figure", {
    where: "keep",
    expected: 'a percentage such as "99.9%", at most 100%, or a share such as 0.999',
    received: JSON.stringify(text),
  });
}

/** "99.9%" as 0.999; a number as it is. */
function shareOf(text: string | number): number {
  const percent = typeof text === "string" ? /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(text)?.[1] : undefined;
  // The exponent shifts the decimal point of the text itself: 99.9 / 100 is not the double nearest to 0.999.
  return percent === undefined ? Number(text || Number.NaN) : Number(`${percent}e-2`);
}

/** Parses a limit on the KL divergence, in nats. */
export function parseMaxKl(text: string | number): number {
  const nats = Number(text === "" ? Number.NaN : text);
  if (Number.isFinite(nats) && nats > 0) return nats;
  throw new BitwrightError("invalid-option", "unusable limit on the KL divergence", {
    where: "max-kl",
    expected: "a positive number of nats such as 0.01",
    received: JSON.stringify(text),
  });
}

/** Parses a limit on the error of the loss: "2%", or a share such as 0.02. */
export function parseMaxLossError(text: string | number): number {
  const share = shareOf(text);
  if (Number.isFinite(share) && share > 0) return share;
  throw new BitwrightError("invalid-option", "unusable limit on the error of the loss", {
    where: "max-loss-error",
    expected: 'a percentage such as "2%", or a share such as 0.02',
    received: JSON.stringify(text),
  });
}

// Figures are quotients of counts, so that a share kept exactly can come out one rounding too low.
const rounding = 1e-12;

/** Whether a quantized model is inside the band. A figure that is not a number never is. */
export function withinBand(result: BandResult, { keep, maxKl }: Band): boolean {
  if (keep !== undefined && !keeps(result, keep)) return false;
  if (maxKl === undefined) return true;
  if (result.kl !== undefined) return result.kl <= maxKl;
  throw new BitwrightError("invalid-option", "the KL divergence was not measured", { where: "max-kl" });
}

function keeps({ float, quantized, higherIsBetter }: BandResult, keep: number): boolean {
  if (!Number.isFinite(float) || float < 0 || (float === 0 && !higherIsBetter)) {
    throw new BitwrightError("invalid-option", "no share can be kept of the float model's figure", {
      where: "keep",
      expected: "a positive figure of the float model",
      received: String(float),
      remedy: "Limit the KL divergence instead.",
    });
  }
  return higherIsBetter ? quantized >= keep * float * (1 - rounding) : quantized * keep <= float * (1 + rounding);
}
