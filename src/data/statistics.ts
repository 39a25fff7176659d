// Two models judged on the same samples. Only the samples on which they differ tell them apart, so everything here is made
// of two counts: how many the quantized model loses, and how many it gains.

import { BitwrightError } from "../errors.js";
import { binomialCdf, lowerLimit, upperLimit } from "./binomial.js";

/** Float and quantized model on the same samples. Shares are of all samples unless they say otherwise. */
export interface PairedComparison {
  readonly samples: number;
  readonly floatCorrect: number;
  readonly quantizedCorrect: number;
  /** Samples that only the float model has right. */
  readonly lost: number;
  /** Samples that only the quantized model has right. */
  readonly gained: number;
  /** Chance of a split as uneven as this between lost and gained if both were equally likely (McNemar's exact test). */
  readonly pValue: number;
  /** Quantized less float accuracy, with its confidence interval. */
  readonly difference: { readonly value: number; readonly low: number; readonly high: number };
  /** Quantized correct / float correct, with the bound that it exceeds at the given confidence (one-sided). */
  readonly keepRatio: { readonly value: number; readonly low: number };
  /** Smallest drop that these samples could show to be real, given the gains seen; undefined when they could show none. */
  readonly smallestDetectableDrop: number | undefined;
  readonly confidence: number;
}

/**
 * Compares what two models have right, sample by sample.
 *
 * Intervals combine exact Clopper-Pearson limits of the two shares of flips by the method of variance estimates recovery
 * (Zou and Donner 2008; Newcombe 1998), which does not collapse to a point when no sample flips.
 * @param float 1 for each sample that the float model has right, else 0.
 * @param quantized the same of the quantized model.
 * @param confidence of the interval and of the bound, and 1 minus the level of the test.
 */
export function comparePaired(
  float: ArrayLike<number>,
  quantized: ArrayLike<number>,
  confidence = 0.95,
): PairedComparison {
  const samples = float.length;
  if (samples !== quantized.length || samples === 0) {
    throw new BitwrightError("invalid-data", "two models can be compared only on the same samples", {
      expected: "one entry a sample in both",
      received: `${samples} and ${quantized.length}`,
    });
  }
  let floatCorrect = 0;
  let lost = 0;
  let gained = 0;
  for (let i = 0; i < samples; i++) {
    if (float[i]) floatCorrect++;
    if (float[i] && !quantized[i]) lost++;
    if (!float[i] && quantized[i]) gained++;
  }
  const quantizedCorrect = floatCorrect - lost + gained;
  return {
    samples,
    floatCorrect,
    quantizedCorrect,
    lost,
    gained,
    pValue: mcnemar(lost, gained),
    difference: difference(lost, gained, samples, (1 - confidence) / 2),
    keepRatio: {
      value: floatCorrect === 0 && quantizedCorrect === 0 ? 1 : quantizedCorrect / floatCorrect,
      low: keepBound(lost, gained, floatCorrect, samples, 1 - confidence),
    },
    smallestDetectableDrop: smallestDetectableDrop(gained, samples, 1 - confidence),
    confidence,
  };
}

/** Two-sided exact p-value: twice the smaller tail of Binomial(lost + gained, 1/2), at most 1 (McNemar 1947). */
export function mcnemar(lost: number, gained: number): number {
  return Math.min(1, 2 * binomialCdf(Math.min(lost, gained), lost + gained, 0.5));
}

function difference(lost: number, gained: number, samples: number, tail: number): PairedComparison["difference"] {
  const [loss, gain] = [share(lost, samples, tail), share(gained, samples, tail)];
  const value = (gained - lost) / samples;
  return {
    value,
    low: value - Math.hypot(loss.high - loss.value, gain.value - gain.low),
    high: value + Math.hypot(loss.value - loss.low, gain.high - gain.value),
  };
}

/** Among samples that the float model has right some are lost, among the others some are gained: two binomials. */
function keepBound(lost: number, gained: number, floatCorrect: number, samples: number, tail: number): number {
  if (floatCorrect === 0) return 0;
  const others = samples - floatCorrect;
  const loss = share(lost, floatCorrect, tail);
  const gain = others === 0 ? { value: 0, low: 0 } : share(gained, others, tail);
  const weight = others / floatCorrect;
  const value = 1 - loss.value + weight * gain.value;
  return Math.max(0, value - Math.hypot(loss.high - loss.value, weight * (gain.value - gain.low)));
}

function share(hits: number, samples: number, tail: number) {
  return { value: hits / samples, low: lowerLimit(hits, samples, tail), high: upperLimit(hits, samples, tail) };
}

/** Smallest (lost - gained) / samples that `mcnemar` calls significant at `level`, for this number of gains. */
export function smallestDetectableDrop(gained: number, samples: number, level: number): number | undefined {
  for (let lost = gained + 1; lost + gained <= samples; lost++) {
    if (mcnemar(lost, gained) <= level) return (lost - gained) / samples;
  }
  return undefined;
}
