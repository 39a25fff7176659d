import { BitwrightError } from "../errors.js";
import { readArray } from "./array-source.js";
import { allocate, type Files } from "./files.js";
import { fileContents, type SampleSource } from "./source.js";

/** How a list of places is a matrix. */
export interface SparseSpec {
  readonly rows: number;
  readonly columns: number;
  /** "row" divides each row by its sum; "symmetric" gives D^-1/2 A D^-1/2 with D the row sums (Kipf and Welling 2017). */
  readonly normalize: "row" | "symmetric" | undefined;
}

/**
 * The rows of a sparse matrix: an integer array of the rows and the columns of its places, each of which adds 1.
 * @param reference "places.npy", or "data.npz#places".
 */
export async function openSparse(files: Files, reference: string, spec: SparseSpec): Promise<SampleSource> {
  const { rows, columns } = spec;
  const places = await readPlaces(files, reference, spec);
  const sums = new Float64Array(rows);
  const starts = new Uint32Array(rows + 1);
  for (const [row] of places) {
    sums[row]!++;
    starts[row + 1]!++;
  }
  for (let row = 0; row < rows; row++) starts[row + 1]! += starts[row]!;
  const next = starts.slice();
  const members = new Uint32Array(places.length);
  for (const [row, column] of places) members[next[row]!++] = column;
  const value = entryOf(spec, sums);
  return {
    size: rows,
    dims: [columns],
    where: (index) => `${reference}, row ${index}`,
    read: async (indices) =>
      Array.from(indices, (row) => {
        const data = new Float64Array(allocate(8 * columns, reference).buffer);
        for (let i = starts[row]!; i < starts[row + 1]!; i++) data[members[i]!]! += value(row, members[i]!);
        return { dims: [columns], data };
      }),
    contents: () => fileContents(files, reference.replace(/#.*$/, "")),
  };
}

function entryOf({ normalize }: SparseSpec, sums: Float64Array): (row: number, column: number) => number {
  switch (normalize) {
    case "row":
      return (row) => 1 / sums[row]!;
    case "symmetric":
      // A column without a row of its own has no neighbours to weigh.
      return (row, column) => 1 / Math.sqrt(sums[row]! * (sums[column] || 1));
    default:
      return () => 1;
  }
}

async function readPlaces(files: Files, reference: string, { rows, columns }: SparseSpec): Promise<[number, number][]> {
  const { dims, data } = await readArray(files, reference);
  if (dims.length !== 2 || dims[0] !== 2 || data instanceof Float32Array || data instanceof Float64Array) {
    throw new BitwrightError("invalid-data", "not the places of a sparse matrix", {
      where: reference,
      expected: "an integer array of shape [2, places], rows and columns",
      received: `${data.constructor.name} of shape [${dims.join(", ")}]`,
    });
  }
  const count = dims[1]!;
  return Array.from({ length: count }, (_, i) => {
    const [row, column] = [Number(data[i]), Number(data[count + i])];
    if (row >= 0 && row < rows && column >= 0 && column < columns) return [row, column];
    throw new BitwrightError("invalid-data", "a place is outside the matrix", {
      where: `${reference}, entry ${i}`,
      expected: `a row below ${rows} and a column below ${columns}`,
      received: `[${row}, ${column}]`,
    });
  });
}
