import { quantile } from "../quantile.js";

/** How predictions relate to measurements of the same things. */
export interface Calibration {
  /** Median of predicted over measured: 1 for a prediction in the right units, above for one that is too careful. */
  readonly ratio: number;
  /** Half the distance between the quartiles of that ratio, in units of its median: 0 when the ratio is the same everywhere. */
  readonly spread: number;
  /** Slope of the least-squares line of log(predicted) over log(measured): 1 when predictions grow as measurements do. */
  readonly slope: number;
  /** Median of |predicted - measured| / measured. */
  readonly medianError: number;
  /** Pairs that went in: those where both figures are positive. */
  readonly count: number;
}

/** Compares positive figures; pairs with another are left out, and nothing is said of fewer than two. */
export function calibrate(predicted: readonly number[], measured: readonly number[]): Calibration | null {
  const pairs = predicted.flatMap((p, i) => (p > 0 && measured[i]! > 0 ? [[p, measured[i]!] as const] : []));
  if (pairs.length < 2) return null;
  const ratios = pairs.map(([p, m]) => p / m);
  const ratio = quantile(ratios, 0.5);
  return {
    ratio,
    spread: (quantile(ratios, 0.75) - quantile(ratios, 0.25)) / 2 / ratio,
    slope: logSlope(pairs),
    medianError: quantile(
      pairs.map(([p, m]) => Math.abs(p - m) / m),
      0.5,
    ),
    count: pairs.length,
  };
}

function logSlope(pairs: readonly (readonly [number, number])[]): number {
  const logs = pairs.map(([p, m]) => [Math.log(p), Math.log(m)] as const);
  const mean = (of: (pair: readonly [number, number]) => number) =>
    logs.reduce((sum, pair) => sum + of(pair), 0) / logs.length;
  const [meanP, meanM] = [mean(([p]) => p), mean(([, m]) => m)];
  const covariance = mean(([p, m]) => (p - meanP) * (m - meanM));
  return covariance / mean(([, m]) => (m - meanM) ** 2);
}
