import { BitwrightError } from "../errors.js";
import { elementCount } from "../tensor.js";
import type { Field } from "./field.js";

/**
 * Names of an array's axes as stored and as the model takes them: one letter an axis, N the samples, C the channels,
 * any letters for the rest, and 1 for an axis of extent one that is dropped from the source or added to the target.
 */
export interface Layout {
  readonly source: string;
  readonly target: string;
}

const grammar = /^([A-Z1]+)(?:>([A-Z1]+))?$/;

/** Parses "NHWC>NCHW"; without ">" the axes keep their order. */
export function parseLayout(field: Field): Layout {
  const match = grammar.exec(field.text());
  const expected = 'axis letters such as "NHWC>NCHW", N among them, the same letters on both sides';
  const source = match?.[1] ?? field.fail(expected);
  const target = match?.[2] ?? source;
  if (letters(source) !== letters(target) || !source.includes("N") || /(.).*\1/.test(letters(source))) {
    field.fail(expected);
  }
  return { source, target };
}

function letters(axes: string): string {
  return [...axes.replaceAll("1", "")].sort().join("");
}

/** Shape of a sample in the model's order, from its stored shape; both without the sample axis, null where unknown. */
export function moveDims(
  layout: Layout | undefined,
  dims: readonly (number | null)[],
  where: string,
): readonly (number | null)[] {
  if (layout === undefined) return dims;
  const source = layout.source.replace("N", "");
  if (dims.length !== source.length || dims.some((dim, axis) => source[axis] === "1" && dim !== 1)) {
    throw new BitwrightError("invalid-data", "the data does not have the axes of its layout", {
      where,
      expected: `axes ${source} besides the samples`,
      received: `shape [${dims.map((dim) => dim ?? "?").join(", ")}] besides the samples`,
    });
  }
  return [...layout.target.replace("N", "")].map((letter) => (letter === "1" ? 1 : dims[source.indexOf(letter)]!));
}

/** How the elements of one sample move from their stored order to the model's. */
export interface Rearrangement {
  /** Shape of the sample as the model takes it, without the sample axis. */
  readonly dims: readonly number[];
  /** Source position of each target element; undefined when nothing moves. */
  readonly gather: Uint32Array | undefined;
  /** Number of channels, 1 without a channel axis. */
  readonly channels: number;
  /** Elements of one channel that lie together in the target. */
  readonly channelRun: number;
}

/**
 * Plans the move of a sample of shape `dims` (stored order, without the sample axis).
 * @param reverseChannels turns RGB into BGR, or back.
 */
export function rearrange(
  layout: Layout | undefined,
  dims: readonly number[],
  reverseChannels: boolean,
  where: string,
): Rearrangement {
  if (layout === undefined) return { dims, gather: undefined, channels: 1, channelRun: 1 };
  const source = layout.source.replace("N", "");
  const target = layout.target.replace("N", "");
  const targetDims = moveDims(layout, dims, where) as number[];
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const axes = [...target].map((letter) => {
    if (letter === "1") return { extent: 1, stride: 0, start: 0 };
    const axis = source.indexOf(letter);
    const extent = dims[axis]!;
    const reversed = letter === "C" && reverseChannels;
    return {
      extent,
      stride: (reversed ? -1 : 1) * strides[axis]!,
      start: reversed ? (extent - 1) * strides[axis]! : 0,
    };
  });
  const channelAxis = target.indexOf("C");
  const gather = offsets(axes);
  return {
    dims: targetDims,
    gather: gather.every((offset, i) => offset === i) ? undefined : gather,
    channels: channelAxis < 0 ? 1 : targetDims[channelAxis]!,
    channelRun: channelAxis < 0 ? 1 : elementCount(targetDims.slice(channelAxis + 1)),
  };
}

function offsets(axes: readonly { extent: number; stride: number; start: number }[]): Uint32Array {
  let result = Uint32Array.of(axes.reduce((sum, { start }) => sum + start, 0));
  for (const { extent, stride } of axes) {
    const finer = new Uint32Array(result.length * extent);
    for (let i = 0; i < finer.length; i++) {
      finer[i] = result[Math.floor(i / extent)]! + (i % extent) * stride;
    }
    result = finer;
  }
  return result;
}
