import { BitwrightError } from "../errors.js";
import { elementCount } from "../tensor.js";
import { type Files, openBytes, readWhole } from "./files.js";
import { openNpy, type RawArray, readNpy } from "./npy.js";
import { extractMember } from "./npz.js";
import { fileContents, type SampleSource } from "./source.js";

/**
 * Samples along one axis of an array in a file.
 * @param reference "images.npy", or "data.npz#images" for one array of an archive.
 */
export async function openArray(files: Files, reference: string, sampleAxis: number): Promise<SampleSource> {
  const array = await openNpy(await opener(files, reference), reference);
  const size = array.dims[sampleAxis];
  if (size === undefined) {
    throw new BitwrightError("invalid-data", "the array has no sample axis", {
      where: reference,
      expected: `${sampleAxis + 1} dimensions or more`,
      received: `shape [${array.dims.join(", ")}]`,
    });
  }
  const dims = array.dims.filter((_, axis) => axis !== sampleAxis);
  const stride = elementCount(dims);
  return {
    size,
    dims,
    where: (index) => `${reference}, sample ${index}`,
    async read(indices) {
      const rows = await array.read(indices, sampleAxis);
      return Array.from(indices, (_, i) => ({ dims, data: rows.subarray(i * stride, (i + 1) * stride) }));
    },
    contents: () => fileContents(files, split(reference).path),
  };
}

/** The whole of a small array in a file. */
export async function readArray(files: Files, reference: string): Promise<{ dims: readonly number[]; data: RawArray }> {
  const { data, array } = await readNpy(await opener(files, reference), reference);
  return { dims: array.dims, data };
}

async function opener(files: Files, reference: string) {
  const { path, member } = split(reference);
  if (member === undefined) return () => files.open(path);
  const bytes = extractMember(await readWhole(files, path), member, path);
  return async () => openBytes(bytes);
}

function split(reference: string): { path: string; member: string | undefined } {
  const match = /^(.*\.npz)(?:#(.+))?$/i.exec(reference);
  if (match === null) return { path: reference, member: undefined };
  if (match[2] !== undefined) return { path: match[1]!, member: match[2] };
  throw new BitwrightError("invalid-data", "which array of the archive is meant", {
    where: reference,
    remedy: 'Write the name after "#", as in "data.npz#images".',
  });
}
