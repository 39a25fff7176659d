import { formats, type LayerChoice, type WeightFormat } from "../../../formats.js";
import { capturedPort, type Graph } from "../../../onnx/graph.js";
import type { Layer } from "../../layers.js";
import { clampBehind } from "./activation-function.js";

const float: LayerChoice = { weight: "float", activation: "float" };
const integer8: LayerChoice = { weight: "int8", activation: "int8" };
const integer4: LayerChoice = { weight: "int4", activation: "int8" };

/** Stored narrow, computed in float. */
const weightOnly = (weight: WeightFormat): LayerChoice => ({ weight, activation: "float" });

const unscaled = (["fp16", "bf16"] as const).map(weightOnly);
const wide = (["int16", "fp8e4m3", "fp8e5m2"] as const).map(weightOnly);

/** Operators that have an integer kernel. */
const integerOperators: ReadonlySet<string> = new Set(["Conv", "Gemm", "MatMul"]);

/** Operators that a product with blocks of codes can replace. */
const blockwiseOperators: ReadonlySet<string> = new Set(["Gemm", "MatMul"]);

/**
 * What a layer may be, float first, then from dear to cheap.
 * @param layers - All layers of the graph.
 */
export function choicesOf(graph: Graph, layer: Layer, layers: readonly Layer[]): LayerChoice[] {
  const { initializer } = layer.weight;
  if (graph.isOutput(initializer)) return [float];
  const sharers = layers.filter(({ weight }) => weight.initializer === initializer);
  if (sharers.some(({ weight }) => weight.channelAxis !== layer.weight.channelAxis)) return [float, ...unscaled];
  // Others, as the Gather of an embedding, read the float weight that is made of the stored one at load. Kernels that read codes leave none.
  const alone = graph.uses(initializer).length === sharers.length;
  const integer = alone && hasIntegerKernel(graph, layer);
  return [
    float,
    ...unscaled,
    ...wide,
    weightOnly("int8"),
    ...(integer ? [integer8] : []),
    ...(alone ? blocksOf(layer) : []),
    weightOnly("int4"),
    ...(integer ? [integer4] : []),
  ];
}

function hasIntegerKernel(graph: Graph, { op, plain, output }: Layer): boolean {
  const result = clampBehind(graph, output)?.output ?? output;
  const captured = graph.uses(result).some(({ port }) => port === capturedPort);
  return integerOperators.has(op) && plain && !captured;
}

/** The blocks that a layer fills. With a smaller sum it has as many scales as with int4. */
function blocksOf({ op, plain, input }: Layer): LayerChoice[] {
  if (!blockwiseOperators.has(op) || !plain) return [];
  return (["int4b32", "int4b128"] as const).filter((format) => input.channels >= formats[format].block).map(weightOnly);
}
