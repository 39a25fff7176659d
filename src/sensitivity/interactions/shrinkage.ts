/**
 * How far terms between different sites have to be shrunk towards none, in [0, 1]: the share of their squares that is sampling noise, each in units of
 * its two diagonal elements (Schaefer and Strimmer, 2005, target "diagonal, unequal variance"). A solver that minimizes the form looks for
 * terms that cancel, and among many noisy ones it finds some that only seem to.
 * @param u - Projections [probe][sample][choice]; samples are independent, probes of one sample are averaged.
 * @param sites - The site of each choice.
 */
export function shrinkageOf(u: Float32Array, probes: number, samples: number, sites: readonly string[]): number {
  const width = sites.length;
  if (samples < 2 || width === 0) return 0;
  const sums = new Float64Array(width * width);
  const squares = new Float64Array(width * width);
  const own = new Float64Array(width * width);
  for (let n = 0; n < samples; n++) {
    own.fill(0);
    for (let k = 0; k < probes; k++)
      addOuter(own, u.subarray((k * samples + n) * width, (k * samples + n + 1) * width));
    for (let at = 0; at < own.length; at++) {
      const form = own[at]! / probes;
      sums[at]! += form;
      squares[at]! += form * form;
    }
  }
  let noise = 0;
  let total = 0;
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < i; j++) {
      const unit = (sums[i * width + i]! / samples) * (sums[j * width + j]! / samples);
      if (sites[i] === sites[j] || unit === 0) continue;
      const mean = sums[i * width + j]! / samples;
      noise += (squares[i * width + j]! / samples - mean * mean) / (samples - 1) / unit;
      total += (mean * mean) / unit;
    }
  }
  return total === 0 ? 0 : Math.min(1, Math.max(0, noise / total));
}

/** The lower triangle of a row's products with itself. */
function addOuter(sums: Float64Array, row: Float32Array): void {
  const width = row.length;
  for (let i = 0; i < width; i++) {
    const value = row[i]!;
    for (let j = 0; j <= i; j++) sums[i * width + j]! += value * row[j]!;
  }
}
