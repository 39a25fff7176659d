import type { Analysis } from "../analysis.js";
import type { LayoutParts } from "../evaluate/simulator.js";
import { hasWeight } from "../export/layers.js";
import type { Range } from "../export/layout.js";
import type { LayoutOptions, PlannedLayer } from "../export/targets/target.js";
import type { Format, WeightFormat } from "../formats.js";
import type { Quantizer } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import { layoutOptions, type Workspace } from "../workspace.js";
import type { Site } from "./criterion.js";
import { activationSites, weightSite } from "./site-ids.js";

/** The weight and, where the target can quantize them, the activations of every layer. */
export function sitesOf(
  workspace: Workspace,
  ranges: ReadonlyMap<string, Range>,
  rounding: Pick<Analysis, "roundedWeights" | "biasShifts" | "reducesRange">,
  dims: ReadonlyMap<string, readonly number[]>,
): Site[] {
  const options = layoutOptions(workspace, rounding);
  const weightLayouts = weightsAlone(workspace, ranges, options);
  const activations = activationQuantizers(workspace, ranges, options);
  return workspace.layers.flatMap((layer): Site[] => {
    const { node, op, group, inputs } = layer;
    const common = { node, op, group };
    const sites: Site[] = [];
    if (hasWeight(layer)) {
      const weights = weightLayouts.get(node)!;
      sites.push({
        ...common,
        id: weightSite(node),
        kind: "weight",
        tensor: layer.weight.initializer,
        port: layer.weight.port,
        elements: elementCount(layer.weight.dims),
        quantizers: new Map([...weights].map(([format, layout]) => [format, layout.weights[0]!.quantizer])),
        alone: (format) => weights.get(format)!,
      });
    }
    const activationFormats = offered(layer, "activation");
    for (const [i, { tensor, port }] of inputs.entries()) {
      const quantizer = activations.get(node)?.get(port);
      if (quantizer === undefined || activationFormats.length === 0) continue;
      sites.push({
        ...common,
        id: activationSites(node)[i]!,
        kind: "activation",
        tensor,
        port,
        elements: elementCount(dims.get(tensor)!.slice(1)),
        quantizers: new Map(activationFormats.map((format) => [format, quantizer])),
        alone: () => ({ weights: [], biases: [], edges: [{ node, port, tensor, quantizer }] }),
      });
    }
    return sites;
  });
}

function offered({ choices }: PlannedLayer, part: "weight" | "activation"): WeightFormat[] {
  return [...new Set(choices.map((choice) => choice[part]))].filter((format) => format !== "float");
}

/** By node and format, the model with one weight rounded and its bias corrected, everything else float. */
function weightsAlone(
  { target, model, layers }: Workspace,
  ranges: ReadonlyMap<string, Range>,
  options: LayoutOptions,
): Map<string, Map<Format, LayoutParts>> {
  const alone = new Map(layers.map(({ node }) => [node, new Map<Format, LayoutParts>()]));
  for (const weight of new Set(layers.flatMap((layer) => offered(layer, "weight")))) {
    const rounded = layers.filter((layer) => offered(layer, "weight").includes(weight));
    const choices = new Map(rounded.map(({ node }) => [node, { weight, activation: "float" }] as const));
    // Weights of float kernels do not depend on each other, so one layout says what each is alone.
    const { weights, biases } = target.layout(model, choices, ranges, options);
    for (const { node, bias } of rounded) {
      alone.get(node)!.set(weight, {
        weights: weights.filter((layout) => layout.node === node),
        biases: biases.filter((layout) => layout.node === bias?.node && layout.port === bias.port),
        edges: [],
      });
    }
  }
  return alone;
}

/** The quantizers of each layer's inputs, by their ports, when all layers that can be are integer. */
function activationQuantizers(
  { target, model, layers }: Workspace,
  ranges: ReadonlyMap<string, Range>,
  options: LayoutOptions,
): Map<string, Map<number, Quantizer>> {
  const integer = layers.flatMap(({ node, choices }) => {
    const choice = choices.find(({ activation }) => activation !== "float");
    return choice === undefined ? [] : [[node, choice] as const];
  });
  const { edges } = target.layout(model, new Map(integer), ranges, options);
  const found = new Map(layers.map(({ node }) => [node, new Map<number, Quantizer>()]));
  const isInput = new Set(layers.flatMap(({ node, inputs }) => inputs.map(({ port }) => `${node} ${port}`)));
  for (const { node, port, quantizer } of edges) {
    if (node !== undefined && isInput.has(`${node} ${port}`)) found.get(node)!.set(port, quantizer);
  }
  return found;
}
