import type { Layer } from "./layers.js";
import type { Kernel, Layout } from "./layout.js";

/**
 * The kernels that a layout brings layers to, by node; one that is not in it runs as a float model has it. A product of two activations is computed on
 * integers as soon as both are read as codes, whatever was chosen: what it gives is the same.
 */
export function plannedKernels(layers: readonly Layer[], { weights, edges }: Layout): ReadonlyMap<string, Kernel> {
  const codes = new Set(edges.map(({ node, port }) => `${node} ${port}`));
  const products = layers.filter(
    ({ node, weight, inputs }) => weight === undefined && inputs.every(({ port }) => codes.has(`${node} ${port}`)),
  );
  return new Map([
    ...weights.map(({ node, kernel }) => [node, kernel] as const),
    ...products.map(({ node }) => [node, "integer"] as const),
  ]);
}
