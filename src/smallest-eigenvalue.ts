/** An estimate, from above, of a symmetric matrix's smallest eigenvalue, by power iteration on the matrix turned around within Gershgorin's bound. */
export function smallestEigenvalue(matrix: readonly Float64Array[]): number {
  const rowSums = matrix.map((row) => row.reduce((sum, entry) => sum + Math.abs(entry), 0));
  const bound = rowSums.reduce((most, sum) => Math.max(most, sum), 0);
  // No eigenvector is known beforehand; a vector without a pattern is orthogonal to none.
  let vector = Float64Array.from(matrix, (_, i) => Math.sin(1 + i * i));
  let value = 0;
  for (let iteration = 0; iteration < 200; iteration++) {
    const product = Float64Array.from(matrix, (row, i) => bound * vector[i]! - dot(row, vector));
    const length = Math.sqrt(dot(product, product));
    if (length === 0) break;
    value = bound - length / Math.sqrt(dot(vector, vector));
    vector = product.map((entry) => entry / length);
  }
  return value;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
