import { BitwrightError } from "../errors.js";
import type { Files } from "./files.js";
import type { RawArray } from "./npy.js";

/** A sample as it is stored, before preprocessing. */
export interface RawSample {
  /** Shape without the sample axis. */
  readonly dims: readonly number[];
  readonly data: RawArray;
}

/** The samples of one input, readable by index in any order. */
export interface SampleSource {
  readonly size: number;
  /** Shape of a sample as stored, without the sample axis; null where it differs from sample to sample. */
  readonly dims: readonly (number | null)[];
  /** For sequences, the positions of each sample: its first dimension. */
  readonly lengths?: Int32Array;
  /** For texts, which of two each token is of. */
  readonly types?: readonly Int32Array[];
  /** What stands behind the end of a sequence, if the source knows. */
  readonly pad?: number;
  /** The samples at `indices`, in that order. */
  read(indices: Uint32Array): Promise<RawSample[]>;
  /** Names a sample in messages. */
  where(index: number): string;
  /** Every byte that the samples come from, in a fixed order, for hashing. */
  contents(): AsyncIterable<Uint8Array>;
}

/** Several sources one after the other, as one. */
export function concatenate(sources: readonly SampleSource[], where: string): SampleSource {
  const first = sources[0]!;
  if (sources.length === 1) return first;
  const dims = first.dims.map((dim, axis) => (sources.every((s) => s.dims[axis] === dim) ? dim : null));
  const odd = sources.find((s) => s.dims.length !== dims.length);
  if (odd !== undefined) {
    throw new BitwrightError("invalid-data", "files with different numbers of axes cannot form one input", {
      where,
      expected: `${dims.length} axes besides the samples`,
      received: `${odd.dims.length} in ${odd.where(0)}`,
    });
  }
  const starts: number[] = [];
  let size = 0;
  for (const source of sources) {
    starts.push(size);
    size += source.size;
  }
  const owner = (index: number) => starts.findLastIndex((start) => start <= index);
  return {
    size,
    dims,
    ...(first.lengths !== undefined && { lengths: Int32Array.from(sources.flatMap((s) => [...(s.lengths ?? [])])) }),
    ...(first.types !== undefined && { types: sources.flatMap((s) => s.types ?? []) }),
    ...(first.pad !== undefined && { pad: first.pad }),
    where: (index) => sources[owner(index)]!.where(index - starts[owner(index)]!),
    async read(indices) {
      const result = new Array<RawSample>(indices.length);
      const places = new Map<number, number[]>();
      for (const [place, index] of indices.entries()) {
        const s = owner(index);
        const own = places.get(s);
        if (own === undefined) places.set(s, [place]);
        else own.push(place);
      }
      await Promise.all(
        [...places].map(async ([s, own]) => {
          const samples = await sources[s]!.read(Uint32Array.from(own, (place) => indices[place]! - starts[s]!));
          for (const [i, sample] of samples.entries()) result[own[i]!] = sample;
        }),
      );
      return result;
    },
    async *contents() {
      for (const source of sources) yield* source.contents();
    },
  };
}

const blockBytes = 2 ** 22;

/** The bytes of a file, block by block. */
export async function* fileContents(files: Files, path: string): AsyncGenerator<Uint8Array> {
  const file = await files.open(path);
  try {
    for (let offset = 0; offset < file.size; offset += blockBytes) {
      const block = new Uint8Array(Math.min(blockBytes, file.size - offset));
      await file.read(block, offset);
      yield block;
    }
  } finally {
    await file.close();
  }
}
