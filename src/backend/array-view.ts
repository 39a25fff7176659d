import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import type { Granularity } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import { checkDims } from "./elements.js";

/** An array seen as [outer, axis, inner], and how many quantizers it has. */
export interface ArrayView {
  /** The arguments that describe it to the engine: outer, axis, inner, layout, block. */
  readonly extents: [number, number, number, number, number];
  /** Number of scales. */
  readonly groups: number;
}

const layouts: Record<Granularity["kind"], number> = { tensor: 0, channel: 1, block: 2 };

/** @throws BitwrightError `invalid-option` when the tensor has no such axis or the block size is not a positive integer. */
export function arrayView(dims: readonly number[], granularity: Granularity): ArrayView {
  checkDims(dims);
  demand("options", granularity, "granularity");
  if (!Object.hasOwn(layouts, granularity.kind)) {
    throw new BitwrightError("invalid-option", "There is no such granularity", {
      where: "granularity.kind",
      expected: Object.keys(layouts).join(", "),
      received: String(granularity.kind),
    });
  }
  const layout = layouts[granularity.kind];
  if (granularity.kind === "tensor") return { extents: [1, elementCount(dims), 1, layout, 1], groups: 1 };

  const { axis } = granularity;
  const length = dims[axis];
  if (length === undefined) {
    throw new BitwrightError("invalid-option", "The tensor has no such axis", {
      where: "granularity.axis",
      expected: `an axis of [${dims.join(", ")}]`,
      received: `${axis}`,
    });
  }
  const outer = elementCount(dims.slice(0, axis));
  const inner = elementCount(dims.slice(axis + 1));
  if (granularity.kind === "channel") return { extents: [outer, length, inner, layout, 1], groups: length };

  const { size } = granularity;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new BitwrightError("invalid-option", "The block size is not usable", {
      where: "granularity.size",
      expected: "a positive integer",
      received: `${size}`,
    });
  }
  return { extents: [outer, length, inner, layout, size], groups: outer * Math.ceil(length / size) * inner };
}
