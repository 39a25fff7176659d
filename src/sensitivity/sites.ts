import type { Analysis } from "../analysis.js";
import type { LayoutParts } from "../evaluate/simulator.js";
import type { Range } from "../export/layout.js";
import type { LayoutOptions, PlannedLayer } from "../export/targets/target.js";
import type { Format, WeightFormat } from "../formats.js";
import type { Quantizer } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import { layoutOptions, type Workspace } from "../workspace.js";
import type { ActivationSite, Site, WeightSite } from "./criterion.js";

/** The weight and, where the target can quantize it, the activation of every layer. */
export function sitesOf(
  workspace: Workspace,
  ranges: ReadonlyMap<string, Range>,
  rounding: Pick<Analysis, "roundedWeights" | "biasShifts">,
  dims: ReadonlyMap<string, readonly number[]>,
): Site[] {
  const options = layoutOptions(workspace, rounding);
  const weightLayouts = weightsAlone(workspace, ranges, options);
  const activations = activationQuantizers(workspace, ranges, options);
  return workspace.layers.flatMap((layer): Site[] => {
    const { node, op, group, weight, input } = layer;
    const common = { node, op, group };
    const weights = weightLayouts.get(node)!;
    const weightSite: WeightSite = {
      ...common,
      id: `${node}/weight`,
      kind: "weight",
      tensor: weight.initializer,
      port: weight.port,
      elements: elementCount(weight.dims),
      quantizers: new Map([...weights].map(([format, layout]) => [format, layout.weights[0]!.quantizer])),
      alone: (format) => weights.get(format)!,
    };
    const quantizer = activations.get(node);
    if (quantizer === undefined) return [weightSite];
    const activationSite: ActivationSite = {
      ...common,
      id: `${node}/activation`,
      kind: "activation",
      tensor: input.tensor,
      port: input.port,
      elements: elementCount(dims.get(input.tensor)!.slice(1)),
      quantizers: new Map(offered(layer, "activation").map((format) => [format, quantizer])),
      alone: () => ({ weights: [], biases: [], edges: [{ node, port: input.port, tensor: input.tensor, quantizer }] }),
    };
    return [weightSite, activationSite];
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

/** The quantizer of each layer's input when all layers that can be are integer. */
function activationQuantizers(
  { target, model, layers }: Workspace,
  ranges: ReadonlyMap<string, Range>,
  options: LayoutOptions,
): Map<string, Quantizer> {
  const integer = layers.flatMap(({ node, choices }) => {
    const choice = choices.find(({ activation }) => activation !== "float");
    return choice === undefined ? [] : [[node, choice] as const];
  });
  const { edges } = target.layout(model, new Map(integer), ranges, options);
  const ports = new Map(layers.map(({ node, input }) => [node, input.port]));
  return new Map(
    edges.flatMap(({ node, port, quantizer }) =>
      node !== undefined && ports.get(node) === port ? [[node, quantizer] as const] : [],
    ),
  );
}
