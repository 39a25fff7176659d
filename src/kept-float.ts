import { hasWeight } from "./export/layers.js";
import { fewestElements } from "./export/tables.js";
import type { PlannedLayer } from "./export/targets/target.js";
import type { LayerChoice } from "./formats.js";
import { dataTypeInfo, dataTypeName } from "./onnx/data-types.js";
import { TensorProto_DataType as Code, type NodeProto, type TensorProto } from "./onnx/generated/onnx_pb.js";
import { capturedPort, Graph } from "./onnx/graph.js";
import type { OnnxModel } from "./onnx/model.js";
import { packedBytes, tensorDims } from "./onnx/tensor-proto.js";
import { everyTensor } from "./onnx/traverse.js";
import { elementCount } from "./tensor.js";

/** Stored floats that the quantized model has as the float one does, for one reason. */
export interface KeptFloat {
  readonly reason: string;
  readonly tensors: number;
  readonly bytes: number;
  /** Name of the largest. */
  readonly largest: string;
}

const floatTypes: ReadonlySet<number> = new Set([Code.FLOAT, Code.FLOAT16, Code.BFLOAT16, Code.DOUBLE]);

/**
 * What stays float of a model and why, the most bytes first: nothing is left out silently.
 * @param model - The cleaned model.
 * @param layers - Its layers, with what the options leave each to choose from.
 * @param choices - What was chosen, by node; without it what could still be chosen is not counted.
 */
export function keptFloat(
  model: OnnxModel,
  layers: readonly PlannedLayer[],
  choices?: ReadonlyMap<string, LayerChoice>,
): KeptFloat[] {
  const graph = new Graph(model);
  const reasons = reasonsOfLayers(layers, choices);
  const stored = new Set(model.graph.initializer);
  const kept = new Map<string, KeptFloat>();
  const largest = new Map<string, number>();
  for (const tensor of everyTensor(model.proto)) {
    if (!floatTypes.has(tensor.dataType)) continue;
    const reason = stored.has(tensor)
      ? reasons.has(tensor.name)
        ? reasons.get(tensor.name)
        : reasonOf(graph, tensor)
      : "held by a node or its subgraphs";
    if (reason === undefined) continue;
    const bytes = packedBytes(elementCount(tensorDims(tensor)), dataTypeInfo(tensor.dataType)!.bits);
    const known = kept.get(reason) ?? { reason, tensors: 0, bytes: 0, largest: tensor.name };
    const isLargest = bytes > (largest.get(reason) ?? -1);
    if (isLargest) largest.set(reason, bytes);
    kept.set(reason, {
      reason,
      tensors: known.tensors + 1,
      bytes: known.bytes + bytes,
      largest: isLargest ? tensor.name : known.largest,
    });
  }
  return [...kept.values()].sort((a, b) => b.bytes - a.bytes);
}

/** Why the weights and biases of layers stay float, by initializer; undefined for those that do not, or need not. */
function reasonsOfLayers(
  layers: readonly PlannedLayer[],
  choices: ReadonlyMap<string, LayerChoice> | undefined,
): Map<string, string | undefined> {
  const reasons = new Map<string, string | undefined>();
  for (const { bias } of layers) if (bias !== undefined) reasons.set(bias.initializer, "biases");
  for (const layer of layers.filter(hasWeight)) {
    const { initializer } = layer.weight;
    if (layer.weight.copyOf !== undefined) reasons.set(initializer, undefined);
    else if (layer.choices.every(({ weight }) => weight === "float"))
      reasons.set(initializer, "no format that may be taken fits all that reads it");
    else if (choices === undefined || (choices.get(layer.node)?.weight ?? "float") !== "float")
      reasons.set(initializer, undefined);
    else reasons.set(initializer, "weights for which float was chosen");
  }
  return reasons;
}

/** Why a stored tensor that is neither weight nor bias of a layer is left alone. */
function reasonOf(graph: Graph, tensor: TensorProto): string {
  const uses = graph.uses(tensor.name);
  if (tensor.dataType !== Code.FLOAT) return `${dataTypeName(tensor.dataType)} already, not float`;
  if (graph.isInput(tensor.name)) return "inputs may replace them";
  if (uses.some(({ port }) => port === capturedPort)) return "read inside subgraphs";
  const readers = [...new Set(uses.map(({ node }) => node.opType))].sort();
  const normalization = readers.find((op) => op.endsWith("Normalization"));
  if (normalization !== undefined) return `parameters of ${normalization}`;
  const dims = tensorDims(tensor);
  if (dims.length < 2 || elementCount(dims) < fewestElements) return "vectors and small tensors";
  if (readers.length === 1 && uses.every(({ node, port }) => isProduct(node) && port === 0)) {
    return "multiplied from the left";
  }
  const value = graph.constant(tensor.name)!.data as Float32Array;
  if (!value.every(Number.isFinite)) return "holds values that are not finite";
  return `read by ${readers.join(", ") || "nothing"}`;
}

function isProduct({ opType }: NodeProto): boolean {
  return opType === "MatMul" || opType === "Gemm";
}
