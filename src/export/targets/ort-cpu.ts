import { BitwrightError } from "../../errors.js";
import { choiceKey, type LayerChoice } from "../../formats.js";
import { Graph } from "../../onnx/graph.js";
import { findLayers, storedIn } from "../layers.js";
import { clampBehind } from "./ort-cpu/activation-function.js";
import { choicesOf } from "./ort-cpu/choices.js";
import { flowNode } from "./ort-cpu/flow-operators.js";
import { layoutOf } from "./ort-cpu/layout-of.js";
import type { PlannedLayer, Target } from "./target.js";

/** onnxruntime's CPU execution provider, in a session with default options. docs/export.md gives the reasons for what is written. */
export const ortCpu: Target = {
  name: "ort-cpu",

  layers(model) {
    return plannedLayers(new Graph(model));
  },

  observedTensors(model) {
    const graph = new Graph(model);
    const tensors = new Set<string>();
    for (const layer of findLayers(graph)) {
      // A table is read by rows: nothing around it is quantized for its sake.
      if (layer.inputs.length === 0) continue;
      for (const { tensor } of layer.inputs) tensors.add(tensor);
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
    const layers = plannedLayers(graph);
    checkChoices(layers, choices);
    return layoutOf(graph, layers, choices, ranges, options);
  },
};

function plannedLayers(graph: Graph): PlannedLayer[] {
  const layers = findLayers(graph);
  // A weight that several layers read is stored once, so they must agree on its format.
  return layers.map((layer) => ({
    ...layer,
    choices: choicesOf(graph, layer, layers),
    group: layer.weight === undefined ? ownGroup(graph, layer.node) : storedIn(layer.weight),
  }));
}

/** A node may be called like a tensor that is a group's name. */
function ownGroup(graph: Graph, node: string): string {
  return graph.initializer(node) === undefined ? node : graph.freeName(node);
}

function checkChoices(layers: readonly PlannedLayer[], choices: ReadonlyMap<string, LayerChoice>): void {
  const byName = new Map(layers.map((layer) => [layer.node, layer]));
  for (const [name, choice] of choices) {
    const layer = byName.get(name);
    if (layer === undefined) {
      throw new BitwrightError("invalid-option", `the model has no layer "${name}"`, {
        expected: "a node that multiplies activations, or reads a stored weight",
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
