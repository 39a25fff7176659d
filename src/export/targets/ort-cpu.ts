import { BitwrightError } from "../../errors.js";
import { choiceKey, formats, type LayerChoice, type WeightFormat } from "../../formats.js";
import { capturedPort, Graph } from "../../onnx/graph.js";
import { findLayers, type Layer } from "../layers.js";
import { clampBehind } from "./ort-cpu/activation-function.js";
import { flowNode } from "./ort-cpu/flow-operators.js";
import { layoutOf } from "./ort-cpu/layout-of.js";
import type { PlannedLayer, Target } from "./target.js";

/** onnxruntime's CPU execution provider, in a session with default options. docs/export.md gives the reasons for what is written. */
export const ortCpu: Target = {
  name: "ort-cpu",

  layers(model) {
    const graph = new Graph(model);
    return findLayers(graph).map((layer) => plannedLayer(graph, layer));
  },

  observedTensors(model) {
    const graph = new Graph(model);
    const tensors = new Set<string>();
    for (const layer of findLayers(graph)) {
      tensors.add(layer.input.tensor);
      tensors.add(clampBehind(graph, layer.output)?.output ?? layer.output);
    }
    for (const node of graph.nodes) {
      const flow = flowNode(graph, node);
      if (flow?.kind !== "rescale") continue;
      for (const port of flow.ports) tensors.add(node.input[port]!);
      tensors.add(clampBehind(graph, node.output[0]!)?.output ?? node.output[0]!);
    }
    return [...tensors];
  },

  layout(model, choices, ranges, options = {}) {
    const graph = new Graph(model);
    const layers = findLayers(graph).map((layer) => plannedLayer(graph, layer));
    checkChoices(layers, choices);
    return layoutOf(graph, layers, choices, ranges, options);
  },
};

const float: LayerChoice = { weight: "float", activation: "float" };
const integer8: LayerChoice = { weight: "int8", activation: "int8" };
const integer4: LayerChoice = { weight: "int4", activation: "int8" };

/** Stored narrow, computed in float. */
const weightOnly = (weight: WeightFormat): LayerChoice => ({ weight, activation: "float" });

const wide = [float, ...(["fp16", "bf16", "int16", "fp8e4m3", "fp8e5m2"] as const).map(weightOnly)];

/** Operators that have an integer kernel. */
const integerOperators: ReadonlySet<string> = new Set(["Conv", "Gemm", "MatMul"]);

/** Operators that a product with blocks of codes can replace. */
const blockwiseOperators: ReadonlySet<string> = new Set(["Gemm", "MatMul"]);

/** The blocks that a layer fills. With a smaller sum it has as many scales as with int4. */
function blockwise({ op, plain, input }: Layer): LayerChoice[] {
  if (!blockwiseOperators.has(op) || !plain) return [];
  return (["int4b32", "int4b128"] as const).filter((format) => input.channels >= formats[format].block).map(weightOnly);
}

function plannedLayer(graph: Graph, layer: Layer): PlannedLayer {
  const output = clampBehind(graph, layer.output)?.output ?? layer.output;
  const captured = graph.uses(output).some(({ port }) => port === capturedPort);
  const integer = integerOperators.has(layer.op) && layer.plain && !captured;
  const choices = [
    ...wide,
    weightOnly("int8"),
    ...(integer ? [integer8] : []),
    ...blockwise(layer),
    weightOnly("int4"),
    ...(integer ? [integer4] : []),
  ];
  // A weight that several layers read is stored once, so they must agree on its format.
  return { ...layer, choices, group: layer.weight.initializer };
}

function checkChoices(layers: readonly PlannedLayer[], choices: ReadonlyMap<string, LayerChoice>): void {
  const byName = new Map(layers.map((layer) => [layer.node, layer]));
  for (const [name, choice] of choices) {
    const layer = byName.get(name);
    if (layer === undefined) {
      throw new BitwrightError("invalid-option", `the model has no layer "${name}"`, {
        expected: "a node that multiplies by a stored weight",
      });
    }
    const known = layer.choices.map(choiceKey);
    if (!known.includes(choiceKey(choice))) {
      throw new BitwrightError("invalid-option", "the layer has no such choice on ort-cpu", {
        where: `layer "${name}"`,
        expected: known.join(", "),
        received: choiceKey(choice),
      });
    }
  }
}
