import { BitwrightError } from "../errors.js";
import type { Layer } from "../export/layers.js";
import { elementCount } from "../tensor.js";

/**
 * Multiply-accumulates of a layer for one run.
 * @param shapes - Dimensions of activations, by tensor; for one sample when the result is to be for one sample.
 */
export function layerMacs({ node, work }: Layer, shapes: ReadonlyMap<string, readonly number[]>): number {
  const dimsOf = (tensor: string) => {
    const dims = shapes.get(tensor);
    if (dims !== undefined) return dims;
    throw new BitwrightError("invalid-option", `the shape of tensor "${tensor}" is missing`, {
      where: `layer "${node}"`,
    });
  };
  const { tensor, macsPerElement, size } = work;
  const times = size === undefined ? 1 : dimsOf(size.tensor).at(size.axis)!;
  return elementCount(dimsOf(tensor)) * macsPerElement * times;
}

/** The tensors whose shapes decide how much work a layer is. */
export function workTensors({ work }: Layer): readonly string[] {
  return work.size === undefined ? [work.tensor] : [work.tensor, work.size.tensor];
}
