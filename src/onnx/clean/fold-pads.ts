import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  removeAttribute,
  setAttribute,
  stringAttribute,
} from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import { type CleanContext, nodePass, operands } from "./pass.js";
import { bypass } from "./rewire.js";
import { isNonNegative } from "./value-range.js";

/** Sizes added in front of and behind each spatial axis. */
interface SpatialPads {
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  /** What the new elements hold. */
  readonly value: number;
}

/** Folds a constant Pad into the convolution or pooling behind it, where that pads with the same value. */
export const foldPads = nodePass("fold-pads", ["Pad"], (node, context) => {
  const { graph } = context;
  const use = graph.soleUse(node.output[0]!);
  const pads = spatialPads(node, context);
  if (use === undefined || use.port !== 0 || pads === undefined) return undefined;
  const layer = use.node;
  if (!accepts(layer, pads, node, context)) return undefined;
  const merged = mergedPads(layer, pads);
  if (merged === undefined || !bypass(graph, node)) return undefined;
  setAttribute(layer, "pads", merged.map(BigInt));
  removeAttribute(layer, "auto_pad");
  if (layer.opType === "AveragePool") setAttribute(layer, "count_include_pad", 1n);
  return { nodes: [node.name, layer.name], explanation: `folded into the pads of ${layer.opType} ${layer.name}` };
});

/** Whether padding inside the layer computes what padding in front of it does. */
function accepts(layer: NodeProto, pads: SpatialPads, pad: NodeProto, context: CleanContext): boolean {
  switch (layer.opType) {
    case "Conv":
      return pads.value === 0;
    case "AveragePool": {
      // With count_include_pad its own zeros count as elements, as those of the Pad did. Windows that ceil_mode adds do not.
      const own = intsAttribute(layer, "pads", []).some((size) => size !== 0);
      const counts = intAttribute(layer, "count_include_pad", 0) !== 0;
      return (
        pads.value === 0 && (counts || !own) && intAttribute(layer, "ceil_mode", 0) === 0 && fitsWindow(layer, pads)
      );
    }
    case "MaxPool": {
      // Its own padding is minus infinity: the same for maxima over windows that hold an element of at least the value.
      const dilated = intsAttribute(layer, "dilations", []).some((step) => step !== 1);
      const indices = layer.output[1] !== undefined && layer.output[1] !== "";
      if (dilated || indices || intAttribute(layer, "ceil_mode", 0) !== 0 || !fitsWindow(layer, pads)) return false;
      return (
        pads.value === Number.NEGATIVE_INFINITY || (pads.value === 0 && isNonNegative(context.graph, pad.input[0]!))
      );
    }
    default:
      return false;
  }
}

/** Engines refuse pooling pads as large as the window; smaller ones leave no window without an element. */
function fitsWindow(layer: NodeProto, pads: SpatialPads): boolean {
  const kernel = intsAttribute(layer, "kernel_shape", []);
  const merged = mergedPads(layer, pads);
  return merged?.every((size, i) => size < kernel[i % kernel.length]!) ?? false;
}

/** The layer's own pads plus these, as its attribute lists them; undefined when the layer works out its pads itself. */
function mergedPads(layer: NodeProto, { begins, ends }: SpatialPads): number[] | undefined {
  if (stringAttribute(layer, "auto_pad", "NOTSET").startsWith("SAME_")) return undefined;
  const own = intsAttribute(layer, "pads", undefined);
  const added = [...begins, ...ends];
  if (own !== undefined && own.length !== added.length) return undefined;
  return added.map((size, i) => size + (own?.[i] ?? 0));
}

/** The pads of a constant Pad that touches spatial axes only and takes nothing away. */
function spatialPads(node: NodeProto, context: CleanContext): SpatialPads | undefined {
  const op = operands(node, context);
  const sizes = op.parameters(1, "pads");
  const rank = op.dims()?.length ?? (op.has(3) || !Array.isArray(sizes) ? undefined : sizes.length / 2);
  const axes = op.has(3) ? op.integers(3) : Array.from({ length: rank ?? 0 }, (_, axis) => axis);
  const value = padValue(node, context);
  if (stringAttribute(node, "mode", "constant") !== "constant" || value === undefined) return undefined;
  if (!Array.isArray(sizes) || rank === undefined || axes === undefined || rank < 3) return undefined;
  const begins = new Array<number>(rank).fill(0);
  const ends = new Array<number>(rank).fill(0);
  axes.forEach((axis, i) => {
    begins[axis < 0 ? axis + rank : axis] = sizes[i] ?? 0;
    ends[axis < 0 ? axis + rank : axis] = sizes[i + axes.length] ?? 0;
  });
  const all = [...begins, ...ends];
  if (all.some((size) => size < 0) || begins[0] || begins[1] || ends[0] || ends[1]) return undefined;
  return { begins: begins.slice(2), ends: ends.slice(2), value };
}

function padValue(node: NodeProto, { graph }: CleanContext): number | undefined {
  const name = node.input[2] ?? "";
  if (name === "") return floatAttribute(node, "value", 0);
  const value = graph.constant(name)?.data[0];
  return typeof value === "number" ? value : undefined;
}
