import { intAttribute } from "../attributes.js";
import { int64Vector } from "../initializer.js";
import { nodePass, operands } from "./pass.js";

/**
 * Gives a Reshape a constant target where its own rules work out the sizes that are not known: 0 for an axis that keeps its size, and
 * -1 for one more. Exporters compute such targets at run time for the sake of a dynamic batch or length.
 */
export const staticReshape = nodePass("static-reshape", ["Reshape"], (node, context) => {
  const { graph } = context;
  const op = operands(node, context);
  const sizes = op.elements(1);
  if (sizes === undefined || sizes.every((size) => typeof size === "number")) return undefined;
  if (intAttribute(node, "allowzero", 0) !== 0) return undefined;
  const target = sizes.map((size, axis) => {
    if (typeof size === "number") return size;
    return size !== undefined && size === op.dims()?.[axis] ? 0 : -1;
  });
  if (target.filter((size) => size === -1).length > 1) return undefined;
  graph.setInput(node, 1, graph.addInitializer(`${node.name}_shape`, int64Vector(target)));
  const known = sizes.map((size) => size ?? "?").join(", ");
  return `its target [${known}] is [${target.join(", ")}]: kept and worked out sizes need no computing`;
});
