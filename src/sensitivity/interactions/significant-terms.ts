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

// Probes that are added at once: each sum is then loaded and stored once for so many products.
const probesAtOnce = 4;

/** Sums over samples of u_i u_j, averaged over probes, and of its square; lower triangles. */
function momentsOfForms({ u, probes, samples }: Projections, width: number) {
  const sums = new Float64Array(width * width);
  const squares = new Float64Array(width * width);
  const forms = new Float64Array(width);
  const nothing = new Float64Array(width);
  for (let n = 0; n < samples; n++) {
    const rows = Array.from({ length: probes }, (_, k) =>
      Float64Array.from(u.subarray((k * samples + n) * width, (k * samples + n + 1) * width)),
    );
    for (let i = 0; i < width; i++) {
      forms.fill(0, 0, i + 1);
      for (let k = 0; k < probes; k += probesAtOnce) {
        const [a, b = nothing, c = nothing, d = nothing] = rows.slice(k, k + probesAtOnce) as [Float64Array];
        const [atA, atB, atC, atD] = [a[i]! / probes, b[i]! / probes, c[i]! / probes, d[i]! / probes];
        for (let j = 0; j <= i; j++) forms[j] = forms[j]! + atA * a[j]! + atB * b[j]! + atC * c[j]! + atD * d[j]!;
      }
      for (let j = 0, at = i * width; j <= i; j++, at++) {
        sums[at]! += forms[j]!;
        squares[at]! += forms[j]! * forms[j]!;
      }
    }
  }
  return { sums, squares };
}
