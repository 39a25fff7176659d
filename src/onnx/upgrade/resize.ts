import { findAttribute, removeAttribute, setAttribute, stringAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Refusal, Upgrade, UpgradeContext } from "./upgrade.js";

/**
 * Upsample and the first Resize put output i at input i / scale, and their nearest element is the one below when growing and the one
 * above when shrinking; from operator set 11 on both are attributes with other defaults.
 */
function toResize(node: NodeProto, { constant, store }: UpgradeContext): true | Refusal {
  const attribute = findAttribute(node, "scales");
  const scales = attribute?.floats ?? Array.from(constant(node.input[1] ?? "")?.data ?? [], Number);
  if (scales.length === 0) return { refused: "its scales are computed at run time" };
  if (stringAttribute(node, "mode", "nearest") === "nearest") {
    const shrinks = scales.some((scale) => scale < 1);
    if (shrinks && scales.some((scale) => scale > 1)) return { refused: "it grows one axis and shrinks another" };
    setAttribute(node, "nearest_mode", shrinks ? "ceil" : "floor");
  }
  setAttribute(node, "coordinate_transformation_mode", "asymmetric");
  removeAttribute(node, "scales");
  const values = { dtype: "float32", dims: [scales.length], data: Float32Array.from(scales) } as const;
  node.input = [node.input[0]!, "", attribute === undefined ? node.input[1]! : store(`${node.name}_scales`, values)];
  node.opType = "Resize";
  return true;
}

export const resize: readonly Upgrade[] = [{ opTypes: ["Upsample", "Resize"], since: 11, convert: toResize }];
