// Binomial tails and exact limits, through the regularized incomplete beta function.

/** P(X <= k) for X ~ Binomial(n, p). */
export function binomialCdf(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  return k >= n ? 1 : regularizedBeta(1 - p, n - k, k + 1);
}

/** Largest p at which `k` or more hits in `n` still have a chance of at most `tail`: the Clopper-Pearson lower limit. */
export function lowerLimit(k: number, n: number, tail: number): number {
  return k === 0 ? 0 : bisect((p) => 1 - binomialCdf(k - 1, n, p) <= tail);
}

/** Smallest p at which `k` or fewer hits in `n` have a chance of at most `tail`: the Clopper-Pearson upper limit. */
export function upperLimit(k: number, n: number, tail: number): number {
  return k === n ? 1 : bisect((p) => binomialCdf(k, n, p) >= tail);
}

/** The point of [0, 1] up to which `holds` is true, to the last bit. */
function bisect(holds: (p: number) => boolean): number {
  let low = 0;
  let high = 1;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (holds(middle)) low = middle;
    else high = middle;
  }
}

/** I_x(a, b) by its continued fraction (DLMF 8.17.22), evaluated with Lentz's method on the side where it converges fast. */
export function regularizedBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - regularizedBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b)) / a;
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1), tiny);
  let fraction = d;
  for (let m = 1; ; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let step = 1;
    for (const term of [even, odd]) {
      d = 1 / nonZero(1 + term * d, tiny);
      c = nonZero(1 + term / c, tiny);
      step = c * d;
      fraction *= step;
    }
    if (Math.abs(step - 1) < 4 * Number.EPSILON) return front * fraction;
  }
}

function nonZero(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** Stirling's series (DLMF 5.11.1) after the recurrence has moved the argument to where seven terms are exact to double. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 10; z++) shift += Math.log(z);
  const inverse = 1 / (z * z);
  const terms = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];
  const series = terms.reduceRight((sum, term) => sum * inverse + term, 0) / z;
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
