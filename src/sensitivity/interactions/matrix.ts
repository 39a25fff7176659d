import type { Matrix } from "../interactions.js";

/** A symmetric matrix from its rows up to the diagonal, with the digits that are worth keeping in a file. */
export function mirrored(rows: readonly ArrayLike<number>[]): Matrix {
  return rows.map((row, i) => rows.map((other, j) => rounded(j <= i ? row[j]! : other[i]!)));
}

export function triangle(size: number): Float64Array[] {
  return Array.from({ length: size }, (_, i) => new Float64Array(i + 1));
}

function rounded(value: number): number {
  return Number(value.toPrecision(9));
}
