/** Projections of samples on choices. */
export interface Projections {
  /** u[probe][sample][choice]; samples are independent, probes of one sample are averaged. */
  readonly u: Float32Array;
  readonly probes: number;
  readonly samples: number;
}

/**
 * Which terms between different sites stand out of their sampling noise: those of more than sqrt(2 log m) standard errors, which noise alone exceeds in none
 * of the m terms, nearly always (Donoho and Johnstone, 1994; for matrices whose elements differ in variance, Cai and Liu, 2011, "Adaptive thresholding
 * for sparse covariance matrix estimation"). A solver looks for terms that cancel, and among thousands of noisy ones it would find some that only seem to.
 * @param sites - The site of each choice.
 * @returns [larger choice][smaller choice]: 1 for terms that stand out, and for all of choices of one site.
 */
export function significantTerms(projections: Projections, sites: readonly string[]): Uint8Array[] {
  const { samples } = projections;
  const width = sites.length;
  const { sums, squares } = momentsOfForms(projections, width);
  const pairs = sites.reduce((count, site, i) => count + sites.slice(0, i).filter((other) => other !== site).length, 0);
  const bar = 2 * Math.log(Math.max(2, pairs));
  return sites.map((site, i) =>
    Uint8Array.from({ length: i + 1 }, (_, j) => {
      if (site === sites[j]) return 1;
      const mean = sums[i * width + j]! / samples;
      const variance = (squares[i * width + j]! / samples - mean * mean) / (samples - 1);
      return mean * mean > bar * variance ? 1 : 0;
    }),
  );
}

/** Sums over samples of u_i u_j, averaged over probes, and of its square; lower triangles. */
function momentsOfForms({ u, probes, samples }: Projections, width: number) {
  const sums = new Float64Array(width * width);
  const squares = new Float64Array(width * width);
  const forms = new Float64Array(width * width);
  for (let n = 0; n < samples; n++) {
    forms.fill(0);
    for (let k = 0; k < probes; k++) {
      const row = u.subarray((k * samples + n) * width, (k * samples + n + 1) * width);
      for (let i = 0; i < width; i++) {
        const value = row[i]! / probes;
        for (let j = 0; j <= i; j++) forms[i * width + j]! += value * row[j]!;
      }
    }
    for (let at = 0; at < forms.length; at++) {
      sums[at]! += forms[at]!;
      squares[at]! += forms[at]! ** 2;
    }
  }
  return { sums, squares };
}
