import { type Format, type FormatInfo, formats } from "../formats.js";
import type { Granularity } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import type { LayerWeight } from "./layers.js";

/** How many scales a tensor has. */
export function scaleCount(dims: readonly number[], granularity: Granularity): number {
  switch (granularity.kind) {
    case "tensor":
      return 1;
    case "channel":
      return dims[granularity.axis]!;
    case "block": {
      const { axis, size } = granularity;
      return elementCount(dims.with(axis, Math.ceil(dims[axis]! / size)));
    }
  }
}

/** Which elements of a layer's weight share a scale in a format. Blocks lie along the axis that the product sums over. */
export function granularityOf({ channelAxis: axis }: LayerWeight, format: Format): Granularity {
  const { scaled, block }: FormatInfo = formats[format];
  if (!scaled) return { kind: "tensor" };
  return block === undefined ? { kind: "channel", axis } : { kind: "block", axis: 1 - axis, size: block };
}

/** Bytes that a layer's weight takes in the file: its elements and their scales; in blocks, the last one of each channel filled up, and zero points. */
export function weightBytes(weight: LayerWeight, format: Format): number {
  const { bits, scaled }: FormatInfo = formats[format];
  const granularity = granularityOf(weight, format);
  const scales = scaleCount(weight.dims, granularity);
  if (granularity.kind === "block") {
    const zeroPoints = weight.channels * Math.ceil(((scales / weight.channels) * bits) / 8);
    return (scales * granularity.size * bits) / 8 + 4 * scales + zeroPoints;
  }
  return Math.ceil((elementCount(weight.dims) * bits) / 8) + (scaled ? 4 * scales : 0);
}
