/** A matrix of so many columns with its rows and columns exchanged. */
export function transposed<T extends Int32Array | Float32Array>(matrix: T, columns: number): T {
  const rows = matrix.length / columns;
  return matrix.map((_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!) as T;
}
