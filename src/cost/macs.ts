import { BitwrightError } from "../errors.js";
import type { Layer } from "../export/layers.js";
import { elementCount } from "../tensor.js";

/**
 * Multiply-accumulates of a layer for one run.
 * @param shapes - Dimensions of activations, by tensor; for one sample when the result is to be for one sample.
 */
export function layerMacs({ node, work }: Layer, shapes: ReadonlyMap<string, readonly number[]>): number {
  const dims = shapes.get(work.tensor);
  if (dims === undefined) {
    throw new BitwrightError("invalid-option", `the shape of tensor "${work.tensor}" is missing`, {
      where: `layer "${node}"`,
    });
  }
  return elementCount(dims) * work.macsPerElement;
}
