// The .npy format of NumPy (NEP 1), versions 1 to 3: a header that is a Python literal, then the elements.
// Rows are read by position, so that the size of a file does not matter.

import { BitwrightError } from "../errors.js";
import { widenFloat16 } from "../onnx/half.js";
import { elementCount } from "../tensor.js";
import { allocate, type OpenFile, withFile } from "./files.js";

/** Arrays that data files hold, before preprocessing. */
export type RawArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

type View = (buffer: ArrayBuffer) => RawArray;

const elementTypes: Readonly<Record<string, { bytes: number; view: View }>> = {
  b1: { bytes: 1, view: (b) => new Uint8Array(b) },
  u1: { bytes: 1, view: (b) => new Uint8Array(b) },
  i1: { bytes: 1, view: (b) => new Int8Array(b) },
  u2: { bytes: 2, view: (b) => new Uint16Array(b) },
  i2: { bytes: 2, view: (b) => new Int16Array(b) },
  u4: { bytes: 4, view: (b) => new Uint32Array(b) },
  i4: { bytes: 4, view: (b) => new Int32Array(b) },
  u8: { bytes: 8, view: (b) => new BigUint64Array(b) },
  i8: { bytes: 8, view: (b) => new BigInt64Array(b) },
  f2: { bytes: 2, view: (b) => widenFloat16(new Uint16Array(b)) },
  f4: { bytes: 4, view: (b) => new Float32Array(b) },
  f8: { bytes: 8, view: (b) => new Float64Array(b) },
};

/** An array in a .npy file, of which nothing but the header is in memory. */
export interface NpyArray {
  /** NumPy's type code without byte order: `u1`, `i4`, `f4`, ... */
  readonly type: string;
  readonly dims: readonly number[];
  /** The slices at `indices` along `axis`, one after the other, each in C order. */
  read(indices: ArrayLike<number>, axis: number): Promise<RawArray>;
}

/** Reads the header and checks it against the file's size; `where` names the file in errors. */
export async function openNpy(open: () => Promise<OpenFile>, where: string): Promise<NpyArray> {
  const { type, dims, dataOffset } = await withFile(open, (file) => readHeader(file, where));
  const { bytes, view } = elementTypes[type]!;
  return {
    type,
    dims,
    async read(indices, axis) {
      const inner = elementCount(dims.slice(axis + 1)) * bytes;
      const outer = elementCount(dims.slice(0, axis));
      const result = allocate(indices.length * outer * inner, where);
      await withFile(open, async (file) => {
        // Neighbouring slices of the first axis are neighbours in the file: one read for each run of them.
        const longestRun = outer === 1 ? indices.length : 1;
        for (let first = 0, count = 1; first < indices.length; first += count) {
          for (count = 1; count < longestRun && indices[first + count] === indices[first]! + count; ) count++;
          for (let o = 0; o < outer; o++) {
            const target = (first * outer + o) * inner;
            const source = dataOffset + (o * dims[axis]! + indices[first]!) * inner;
            await file.read(result.subarray(target, target + count * inner), source);
          }
        }
      });
      return view(result.buffer);
    },
  };
}

/** Every element of a .npy file, for small arrays such as labels. */
export async function readNpy(
  open: () => Promise<OpenFile>,
  where: string,
): Promise<{ data: RawArray; array: NpyArray }> {
  const array = await openNpy(open, where);
  const rows = array.dims[0] ?? fail(where, "a scalar where an array is needed", "one dimension or more", "shape ()");
  return {
    data: await array.read(
      Uint32Array.from({ length: rows }, (_, i) => i),
      0,
    ),
    array,
  };
}

interface Header {
  type: string;
  dims: number[];
  dataOffset: number;
}

// NumPy's own limit for headers that are parsed without being trusted.
const maxHeaderBytes = 10_000;

async function readHeader(file: OpenFile, where: string): Promise<Header> {
  const lead = new Uint8Array(Math.min(12, file.size));
  await file.read(lead, 0);
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (lead.length < 12 || magic.some((byte, i) => lead[i] !== byte)) {
    fail(where, "not a .npy file", "the signature \\x93NUMPY", `${file.size} bytes that begin otherwise`);
  }
  const view = new DataView(lead.buffer);
  const version = lead[6]!;
  if (version < 1 || version > 3) fail(where, "unknown .npy version", "1, 2 or 3", String(version));
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = version === 1 ? 10 : 12;
  if (length > maxHeaderBytes || start + length > file.size) {
    fail(
      where,
      "damaged .npy header",
      `at most ${Math.min(maxHeaderBytes, file.size - start)} bytes`,
      `${length} bytes`,
    );
  }
  const text = new Uint8Array(length);
  await file.read(text, start);
  const header = parseHeader(new TextDecoder("latin1").decode(text), where);
  const dataOffset = start + length;
  const needed = dataOffset + elementCount(header.dims) * elementTypes[header.type]!.bytes;
  if (needed > file.size) fail(where, "the file is truncated", `${needed} bytes`, `${file.size} bytes`);
  return { ...header, dataOffset };
}

function parseHeader(text: string, where: string): Omit<Header, "dataOffset"> {
  const descr = /['"]descr['"]\s*:\s*['"]([<>|=])(\w+)['"]/.exec(text);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text);
  const shape = /['"]shape['"]\s*:\s*\(([\d\s,]*)\)/.exec(text);
  if (!descr || !order || !shape) fail(where, "unreadable .npy header", "descr, fortran_order and shape", text.trim());
  const type = descr[2]!;
  if (!Object.hasOwn(elementTypes, type)) {
    fail(where, "unsupported element type", Object.keys(elementTypes).join(", "), `${descr[1]}${type}`);
  }
  if (descr[1] === ">") {
    fail(where, "big-endian elements", "little-endian", `>${type}`, `Save array.astype("<${type}").`);
  }
  const dims = shape[1]!
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
  if (order[1] === "True" && dims.length > 1) {
    fail(where, "column-major array", "C order", "Fortran order", "Save numpy.ascontiguousarray(array).");
  }
  if (!Number.isSafeInteger(elementCount(dims) * 8) || dims.includes(0)) {
    fail(where, "unusable shape", "one element or more", `(${dims.join(", ")})`);
  }
  return { type, dims };
}

function fail(where: string, summary: string, expected: string, received: string, remedy?: string): never {
  throw new BitwrightError("invalid-data", summary, {
    where,
    expected,
    received,
    ...(remedy !== undefined && { remedy }),
  });
}
