/** A row of a weight on a symmetric grid. */
export interface RoundedRow {
  /** float32 */
  readonly scale: number;
  readonly codes: Int32Array;
}

/**
 * Rounds the rows of a matrix so that what they make of their inputs x changes little, E[((q - w) x)^2] = e^T R e with e = q - w and R = E[x x^T], rather
 * than each element by itself (GPTQ, Frantar et al. 2022; OBQ, Frantar and Alistarh 2022). With R = L^T L, L lower triangular, that is |L e|^2,
 * so every element is rounded to where it best makes up for the errors of those before it: Babai's nearest plane, which gives GPTQ's codes
 * and needs no inverse. The scale is the best of a few around the given one, which had each element rounded by itself.
 */
export class ErrorFeedback {
  readonly #width: number;
  readonly #order: Uint32Array;
  readonly #factor: Float64Array;
  /** Of the row that is being rounded: those of one element under each scale side by side. */
  readonly #errors: Float64Array;

  /**
   * @param moments - R, width x width, C order, on and below the diagonal.
   * @param count - Vectors that R is a mean over.
   */
  constructor(moments: Float64Array, width: number, count: number) {
    this.#width = width;
    this.#order = fallingDiagonal(moments, width);
    this.#factor = factorize(moments, this.#order, shrinkage(moments, width, count));
    this.#errors = new Float64Array(width * scaleFactors.length);
  }

  /**
   * @param weights - A row.
   * @param scale - Of the row when its elements are rounded by themselves.
   * @param limit - Codes are at most this, and at least its negative.
   */
  round(weights: Float64Array, scale: number, limit: number): RoundedRow {
    const width = this.#width;
    if (scale === 0) return { scale, codes: new Int32Array(width) };
    const order = this.#order;
    const factor = this.#factor;
    const scales = scaleFactors.map((by) => Math.fround(by * scale)) as [number, number, number, number];
    const codes = scaleFactors.map(() => new Int32Array(width));
    const totals = new Float64Array(scaleFactors.length);
    const errors = this.#errors;
    const carried = new Float64Array(scaleFactors.length);
    for (let j = 0; j < width; j++) {
      let at = j * width;
      // All scales in one pass: the factor is what memory has to bring.
      let c0 = 0;
      let c1 = 0;
      let c2 = 0;
      let c3 = 0;
      for (let e = 0; e < 4 * j; e += 4) {
        const f = factor[at++]!;
        c0 += f * errors[e]!;
        c1 += f * errors[e + 1]!;
        c2 += f * errors[e + 2]!;
        c3 += f * errors[e + 3]!;
      }
      carried.set([c0, c1, c2, c3]);
      const weight = weights[order[j]!]!;
      const pivot = factor[at]!;
      for (let s = 0; s < scales.length; s++) {
        const wanted = Math.round((weight - carried[s]! / pivot) / scales[s]!);
        const code = Math.min(limit, Math.max(-limit, wanted));
        const error = code * scales[s]! - weight;
        codes[s]![order[j]!] = code;
        errors[4 * j + s] = error;
        totals[s]! += (carried[s]! + pivot * error) ** 2;
      }
    }
    const best = totals.indexOf(Math.min(...totals));
    return { scale: scales[best]!, codes: codes[best]! };
  }

  /**
   * The codes of a row whose elements have grids of their own, as those of blocks do.
   * @param weights - A row.
   */
  roundOn(weights: Float64Array, { scales, zeroPoints, qmax }: RowGrids): Int32Array {
    const width = this.#width;
    const errors = this.#errors;
    const codes = new Int32Array(width);
    for (let j = 0; j < width; j++) {
      const line = j * width;
      let carried = 0;
      for (let i = 0; i < j; i++) carried += this.#factor[line + i]! * errors[i]!;
      const column = this.#order[j]!;
      const [weight, scale, zeroPoint] = [weights[column]!, scales[column]!, zeroPoints[column]!];
      const wanted = Math.round((weight - carried / this.#factor[line + j]!) / scale) + zeroPoint;
      codes[column] = Math.min(qmax, Math.max(0, wanted));
      errors[j] = (codes[column]! - zeroPoint) * scale - weight;
    }
    return codes;
  }
}

/** The grid of each element of a row: (code - zeroPoint) * scale, codes from 0 to a largest one. */
export interface RowGrids {
  readonly scales: Float64Array;
  readonly zeroPoints: Int32Array;
  readonly qmax: number;
}

/** Scales that are tried, as multiples of the given one. */
const scaleFactors = [0.9, 1, 1.1, 1.2];

/** Elements by falling second moment: what counts most is rounded while there are others to make up for it. */
function fallingDiagonal(moments: Float64Array, width: number): Uint32Array {
  const diagonal = (i: number) => moments[i * width + i]!;
  return Uint32Array.from({ length: width }, (_, i) => i).sort((a, b) => diagonal(b) - diagonal(a) || a - b);
}

/**
 * Share of the off-diagonal elements that is chance, as far as the correlations themselves tell (Schaefer and Strimmer 2005, target D): few vectors
 * show correlations that others do not have, and errors would be moved to where only other vectors see them.
 */
function shrinkage(moments: Float64Array, width: number, count: number): number {
  let chance = 0;
  let squares = 0;
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < i; j++) {
      const scale = moments[i * width + i]! * moments[j * width + j]!;
      if (scale <= 0) continue;
      const square = Math.min(1, moments[i * width + j]! ** 2 / scale);
      chance += (1 - square) ** 2 / Math.max(1, count - 1);
      squares += square;
    }
  }
  return squares > 0 ? Math.min(1, chance / squares) : 0;
}

/** Share of the mean diagonal that is added to the diagonal, as by GPTQ: few vectors do not make a matrix of full rank. */
const damping = 0.01;

/** L with R, shrunk and damped, = L^T L, elements in the given order: Cholesky's factorization from the last element back. */
function factorize(moments: Float64Array, order: Uint32Array, shrunk: number): Float64Array {
  const width = order.length;
  let trace = 0;
  for (let i = 0; i < width; i++) trace += moments[i * width + i]!;
  const added = trace > 0 ? (damping * trace) / width : 1;
  const factor = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      const [a, b] = [order[i]!, order[j]!];
      const moment = moments[Math.max(a, b) * width + Math.min(a, b)]!;
      factor[i * width + j] = i === j ? moment + added : moment * (1 - shrunk);
    }
  }
  for (let k = width - 1; k >= 0; k--) {
    const line = k * width;
    const pivot = Math.sqrt(factor[line + k]!);
    for (let j = 0; j < k; j++) factor[line + j]! /= pivot;
    factor[line + k] = pivot;
    for (let i = 0; i < k; i++) {
      const f = factor[line + i]!;
      for (let j = 0; j <= i; j++) factor[i * width + j]! -= f * factor[line + j]!;
    }
  }
  return factor;
}
