import { smallestEigenvalue } from "../smallest-eigenvalue.js";
import type { Quantity } from "./linear-form.js";
import type { Assignment, SearchGroup } from "./problem.js";
import { choiceOffsets } from "./score.js";

/**
 * The predicted loss with interactions M and costs c, continued from assignments x (shares of choices, 0 or 1) to all shares as a convex function: since
 * x = x^2 at 0 and 1, c.x + 1/2 x^T M x equals (c - d/2).x + 1/2 x^T (M + diag d) x there, whatever d is; and d is such that M + diag d is positive
 * definite. Its tangents lie below it, so they are linear bounds of the loss of every assignment.
 */
export class ConvexLoss {
  readonly #groups: readonly SearchGroup[];
  readonly #interactions: readonly Float64Array[];
  readonly #offsets: readonly number[];
  readonly #costs: Float64Array;
  readonly #shift: Float64Array;

  constructor(groups: readonly SearchGroup[], interactions: readonly Float64Array[]) {
    this.#groups = groups;
    this.#interactions = interactions;
    this.#offsets = choiceOffsets(groups);
    this.#costs = Float64Array.from(groups.flatMap(({ choices }) => choices.map(({ cost }) => cost)));
    this.#shift = convexShift(this.#costs, interactions);
  }

  /** The tangent at some shares of the choices, those of all groups numbered through. */
  tangent(shares: Float64Array): Quantity {
    const slope = this.#curved(shares);
    const factors = this.#groups.map(({ choices }, g) => ({
      groups: [g],
      values: Float64Array.from(choices, (_, c) => {
        const i = this.#offsets[g]! + c;
        return this.#costs[i]! - this.#shift[i]! / 2 + slope[i]!;
      }),
    }));
    return { fixed: -dot(slope, shares) / 2, factors };
  }

  tangentAt(assignment: Assignment): Quantity {
    return this.tangent(this.shares(assignment));
  }

  /** An assignment as shares: 1 of the choices that it takes. */
  shares(assignment: Assignment): Float64Array {
    const shares = new Float64Array(this.#costs.length);
    for (const [g, c] of assignment.entries()) shares[this.#offsets[g]! + c] = 1;
    return shares;
  }

  /** The least point on the way from some shares to others. */
  lineSearch(from: Float64Array, to: Float64Array): Float64Array {
    const way = to.map((share, i) => share - from[i]!);
    const curved = this.#curved(from);
    const slope = way.reduce((sum, d, i) => sum + d * (this.#costs[i]! - this.#shift[i]! / 2 + curved[i]!), 0);
    const curvature = dot(this.#curved(way), way);
    const step = curvature > 0 ? Math.min(1, Math.max(0, -slope / curvature)) : 1;
    return from.map((share, i) => share + step * way[i]!);
  }

  /** (M + diag d) times a vector. */
  #curved(vector: Float64Array): Float64Array {
    const product = vector.map((value, i) => this.#shift[i]! * value);
    for (const [j, value] of vector.entries()) {
      if (value === 0) continue;
      const row = this.#interactions[j]!;
      for (let i = 0; i < product.length; i++) product[i]! += value * row[i]!;
    }
    return product;
  }
}

/**
 * A small diagonal that makes a symmetric matrix with zero diagonal positive definite: the choices' own second-order terms 2c, all scaled by one number. The
 * number comes from the smallest eigenvalue and is checked by a Cholesky decomposition, so that bounds hold whatever the eigenvalue's error.
 */
function convexShift(costs: Float64Array, matrix: readonly Float64Array[]): Float64Array {
  const active = [...matrix.keys()].filter((i) => matrix[i]!.some((value) => value !== 0));
  const weights = active.map((i) => leastDiagonal(costs, matrix[i]!, 2 * costs[i]!));
  const normed = active.map((i, a) =>
    Float64Array.from(active, (j, b) => matrix[i]![j]! / Math.sqrt(weights[a]! * weights[b]!)),
  );
  let scale = Math.max(0, -smallestEigenvalue(normed));
  while (!isPositiveDefinite(normed, scale)) scale = scale * 1.001 + 1e-9;
  const shift = new Float64Array(costs.length);
  for (const [a, i] of active.entries()) shift[i] = scale * weights[a]!;
  return shift;
}

/**
 * What a choice has on the diagonal at least: its own second-order term, and in an indefinite matrix so much that no term with another choice exceeds both
 * their own.
 */
function leastDiagonal(costs: Float64Array, row: Float64Array, own: number): number {
  return row.reduce((most, value, j) => {
    if (value === 0) return most;
    return Math.max(most, costs[j]! > 0 ? value ** 2 / (2 * costs[j]!) : Math.abs(value));
  }, own);
}

/** Whether matrix + scale * identity has a Cholesky decomposition. */
function isPositiveDefinite(matrix: readonly Float64Array[], scale: number): boolean {
  const factor = matrix.map((row) => Float64Array.from(row));
  for (const [i, row] of factor.entries()) {
    for (let j = 0; j <= i; j++) {
      const other = factor[j]!;
      let sum = row[j]! + (i === j ? scale : 0);
      for (let k = 0; k < j; k++) sum -= row[k]! * other[k]!;
      if (i === j && !(sum > 0)) return false;
      row[j] = i === j ? Math.sqrt(sum) : sum / other[j]!;
    }
  }
  return true;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
