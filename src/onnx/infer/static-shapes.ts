import { cloneMessage } from "../clone.js";
import { Graph } from "../graph.js";
import type { OnnxModel } from "../model.js";
import { staticDims } from "./dims.js";
import { inferFacts } from "./facts.js";

/**
 * Shapes of the values whose sizes are decided by those of some inputs, without running the model.
 * @param inputs - Sizes by input; undefined for those that stay open.
 */
export function staticShapes(
  model: OnnxModel,
  inputs: ReadonlyMap<string, readonly (number | undefined)[]>,
): Map<string, readonly number[]> {
  const proto = cloneMessage(model.proto);
  const sized: OnnxModel = { proto, graph: proto.graph! };
  for (const { name, type } of sized.graph.input) {
    if (type?.value.case !== "tensorType") continue;
    const sizes = inputs.get(name) ?? [];
    for (const [axis, dim] of (type.value.value.shape?.dim ?? []).entries()) {
      const size = sizes[axis];
      if (size !== undefined) dim.value = { case: "dimValue", value: BigInt(size) };
    }
  }
  const shapes = new Map<string, readonly number[]>();
  for (const [name, { dims }] of inferFacts(new Graph(sized))) {
    const known = staticDims(dims);
    if (known !== undefined) shapes.set(name, known);
  }
  return shapes;
}
