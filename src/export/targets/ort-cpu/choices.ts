import {
  type BlockedFormat,
  formats,
  isBlocked,
  isPacked,
  type LayerChoice,
  type PackedFormat,
  type WeightFormat,
} from "../../../formats.js";
import { capturedPort, type Graph } from "../../../onnx/graph.js";
import { hasWeight, type Layer, type LayerWeight, storedIn, type WeightedLayer } from "../../layers.js";
import { clampBehind } from "./activation-function.js";

const float: LayerChoice = { weight: "float", activation: "float" };
const integerProduct: LayerChoice = { weight: "float", activation: "int8" };
const integer8: LayerChoice = { weight: "int8", activation: "int8" };
const integer4: LayerChoice = { weight: "int4", activation: "int8" };

/** Stored narrow, computed in float. */
const weightOnly = (weight: WeightFormat): LayerChoice => ({ weight, activation: "float" });

const unscaled = (["fp16", "bf16"] as const).map(weightOnly);
const wide = (["int16", "fp8e4m3", "fp8e5m2"] as const).map(weightOnly);
const blocked = (Object.keys(formats) as (keyof typeof formats)[])
  .filter((format) => format !== "float")
  .filter(isBlocked);

/** Operators that have an integer kernel. */
const integerOperators: ReadonlySet<string> = new Set(["Conv", "Gemm", "MatMul"]);

/** Operators that a product with blocks of codes can replace. */
const blockwiseOperators: ReadonlySet<string> = new Set(["Gemm", "MatMul"]);

/**
 * What a layer may be, float first, then from dear to cheap.
 * @param layers - All layers of the graph.
 */
export function choicesOf(graph: Graph, layer: Layer, layers: readonly Layer[]): LayerChoice[] {
  if (!hasWeight(layer)) return hasIntegerKernel(graph, layer) ? [float, integerProduct] : [float];
  const { initializer } = layer.weight;
  if (graph.isOutput(initializer)) return [float];
  const sharers = sharersOf(layer, layers);
  if (sharers.some(({ weight }) => storedAxis(weight) !== storedAxis(layer.weight))) return [float, ...unscaled];
  // Others read the float weight that is made of the stored one at load. Kernels that read codes leave none.
  const stored = new Set(sharers.map(({ weight }) => weight.initializer));
  const uses = [...stored].reduce((sum, name) => sum + graph.uses(name).length, 0);
  const alone = uses === sharers.length;
  const integer = alone && sharers.every((sharer) => hasIntegerKernel(graph, sharer));
  const isShared = sharers.some(({ op }) => op !== layer.op);
  const blocks = alone
    ? blocked.filter((format) => sharers.every((sharer) => fillsBlocks(sharer, format, isShared)))
    : [];
  const blocksOf = (bits: number) => blocks.filter((format) => formats[format].bits === bits).map(weightOnly);
  return [
    float,
    ...unscaled,
    ...wide,
    ...blocksOf(8),
    weightOnly("int8"),
    ...(integer ? [integer8] : []),
    ...blocksOf(4),
    weightOnly("int4"),
    ...(integer ? [integer4] : []),
  ];
}

/** Whether a weight is stored as codes that are unpacked where they are read, rather than as a tensor that is made float at load. */
export function isStoredPacked(
  graph: Graph,
  layer: WeightedLayer,
  layers: readonly Layer[],
  format: WeightFormat,
): format is PackedFormat {
  if (isBlocked(format)) return true;
  const sharers = sharersOf(layer, layers);
  const alone = graph.uses(layer.weight.initializer).length === sharers.length;
  return isPacked(format) && alone && sharers.every((sharer) => sharer.op === "Gather" && gathersRows(sharer, format));
}

/** Whether GatherBlockQuantized can take a table: rows of a matrix, of whole bytes. */
function gathersRows({ weight: { dims, channelAxis } }: WeightedLayer, format: PackedFormat): boolean {
  return dims.length === 2 && channelAxis === 0 && (dims[1]! * formats[format].bits) % 8 === 0;
}

function sharersOf({ weight }: WeightedLayer, layers: readonly Layer[]): WeightedLayer[] {
  return layers.filter(hasWeight).filter((other) => storedIn(other.weight) === storedIn(weight));
}

/** The axis of output channels in what the file holds. */
function storedAxis({ channelAxis, copyOf }: LayerWeight): number {
  return copyOf === undefined ? channelAxis : 1 - channelAxis;
}

function hasIntegerKernel(graph: Graph, { op, plain, output }: Layer): boolean {
  const result = clampBehind(graph, output)?.output ?? output;
  const captured = graph.uses(result).some(({ port }) => port === capturedPort);
  return integerOperators.has(op) && plain && !captured;
}

/** Whether a weight has whole blocks. With a smaller sum it has as many scales as with int4; a table that products share has no rows that are filled up. */
function fillsBlocks(layer: WeightedLayer, format: BlockedFormat, isShared: boolean): boolean {
  const { op, plain, inputs, weight } = layer;
  const { block } = formats[format];
  if (op === "Gather") {
    const length = weight.dims[1]!;
    return gathersRows(layer, format) && (isShared ? length % block === 0 : length >= block);
  }
  return blockwiseOperators.has(op) && plain && inputs[0]!.channels! >= block;
}
