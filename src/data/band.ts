import { BitwrightError } from "../errors.js";

/** What a quantized model has to keep. Every limit that is given holds. */
export interface Band {
  /** Share of the float model's figure that must remain, in (0, 1]: quantized / float, or float / quantized for errors. */
  readonly keep?: number;
  /** By how much the figure may become worse, in its own unit: decibels, points of perplexity, shares of one. */
  readonly maxDrop?: number;
  /** The figure itself that must be reached: at least so much, or at most for errors. */
  readonly reach?: number;
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
  const percent = typeof text === "string" ? /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(text)?.[1] : undefined;
  // The exponent shifts the decimal point of the text itself: 99.9 / 100 is not the double nearest to 0.999.
  const keep = percent === undefined ? Number(text || Number.NaN) : Number(`${percent}e-2`);
  if (keep > 0 && keep <= 1) return keep;
  throw new BitwrightError("invalid-option", "unusable share of the float model's figure", {
    where: "keep",
    expected: 'a percentage such as "99.9%", at most 100%, or a share such as 0.999',
    received: JSON.stringify(text),
  });
}

/** Parses by how much a figure may become worse: 0.1, or points of a share such as "0.5%". */
export function parseMaxDrop(text: string | number): number {
  const drop = parseFigure(text);
  if (drop > 0) return drop;
  throw new BitwrightError("invalid-option", "unusable limit on the change of the figure", {
    where: "max-drop",
    expected: 'a positive number in the unit of the metric such as 0.1, or a percentage such as "0.5%"',
    received: JSON.stringify(text),
  });
}

/** Parses a figure to reach: 30, or "75%". */
export function parseReach(text: string | number): number {
  const figure = parseFigure(text);
  if (Number.isFinite(figure)) return figure;
  throw new BitwrightError("invalid-option", "unusable figure to reach", {
    where: "reach",
    expected: 'a number in the unit of the metric such as 30, or a percentage such as "75%"',
    received: JSON.stringify(text),
  });
}

/** NaN for what is no finite number. */
function parseFigure(text: string | number): number {
  const [, number, percent] =
    typeof text === "string" ? (/^\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(text) ?? []) : [undefined, String(text), ""];
  const figure = Number(percent === "%" ? `${number}e-2` : (number ?? Number.NaN));
  return Number.isFinite(figure) ? figure : Number.NaN;
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
  const share = parseFigure(text);
  if (share > 0) return share;
  throw new BitwrightError("invalid-option", "unusable limit on the error of the loss", {
    where: "max-loss-error",
    expected: 'a percentage such as "2%", or a share such as 0.02',
    received: JSON.stringify(text),
  });
}

// Figures are quotients of counts, so that a share kept exactly can come out one rounding too low.
const rounding = 1e-12;

/** Whether a quantized model is inside the band. A figure that is not a number never is. */
export function withinBand(result: BandResult, band: Band): boolean {
  const { keep, maxKl } = band;
  if (keep !== undefined && !keeps(result, keep)) return false;
  if (!reaches(result, band)) return false;
  if (maxKl === undefined) return true;
  if (result.kl !== undefined) return result.kl <= maxKl;
  throw new BitwrightError("invalid-option", "the KL divergence was not measured", { where: "max-kl" });
}

/** The worst figure that limits in its own unit allow; undefined without such limits. */
export function worstFigure(
  { float, higherIsBetter }: Pick<BandResult, "float" | "higherIsBetter">,
  { maxDrop, reach }: Band,
): number | undefined {
  const worst = [
    ...(maxDrop === undefined ? [] : [higherIsBetter ? float - maxDrop : float + maxDrop]),
    ...(reach === undefined ? [] : [reach]),
  ];
  if (worst.length === 0) return undefined;
  return higherIsBetter ? Math.max(...worst) : Math.min(...worst);
}

function reaches(result: BandResult, band: Band): boolean {
  const { float, quantized, higherIsBetter } = result;
  if (band.maxDrop !== undefined && !Number.isFinite(float)) {
    throw new BitwrightError("invalid-option", "nothing is a drop from the float model's figure", {
      where: "max-drop",
      expected: "a finite figure of the float model",
      received: String(float),
      remedy: "Say with reach which figure is good enough.",
    });
  }
  const worst = worstFigure(result, band);
  if (worst === undefined) return true;
  const slack = rounding * Math.abs(worst);
  return higherIsBetter ? quantized >= worst - slack : quantized <= worst + slack;
}

function keeps({ float, quantized, higherIsBetter }: BandResult, keep: number): boolean {
  if (!Number.isFinite(float) || float < 0 || (float === 0 && !higherIsBetter)) {
    throw new BitwrightError("invalid-option", "no share can be kept of the float model's figure", {
      where: "keep",
      expected: "a positive figure of the float model",
      received: String(float),
      remedy: "Say with reach which figure is good enough, or limit the KL divergence.",
    });
  }
  return higherIsBetter ? quantized >= keep * float * (1 - rounding) : quantized * keep <= float * (1 + rounding);
}
