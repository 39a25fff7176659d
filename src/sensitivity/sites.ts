import type { BiasShifts } from "../calibrate/bias-correction.js";
import type { LayoutParts } from "../evaluate/simulator.js";
import type { Range } from "../export/layout.js";
import type { LayoutOptions, PlannedLayer } from "../export/targets/target.js";
import { quantizerOfWeight } from "../export/weight-quantizer.js";
import type { Format, WeightFormat } from "../formats.js";
import type { Quantizer } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import { layoutOptions, type Workspace } from "../workspace.js";
import type { ActivationSite, Site, WeightSite } from "./criterion.js";

/** The weight and, where the target can quantize it, the activation of every layer. */
export function sitesOf(
  workspace: Workspace,
  ranges: ReadonlyMap<string, Range>,
  biasShifts: BiasShifts,
  dims: ReadonlyMap<string, readonly number[]>,
): Site[] {
  const options = layoutOptions(workspace, biasShifts);
  const activations = activationQuantizers(workspace, ranges, options);
  return workspace.layers.flatMap((layer): Site[] => {
    const { node, op, group, weight, input } = layer;
    const common = { node, op, group };
    const values = workspace.weight(weight.initializer);
    const weightSite: WeightSite = {
      ...common,
      id: `${node}/weight`,
      kind: "weight",
      tensor: weight.initializer,
      port: weight.port,
      elements: elementCount(weight.dims),
      quantizers: new Map(
        offered(layer, "weight").map((format) => [format, quantizerOfWeight(layer, values, format, options)]),
      ),
      alone: (format) => weightAlone(workspace, ranges, options, node, format),
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

/** The model with one weight rounded and its bias corrected, everything else float. */
function weightAlone(
  { target, model }: Workspace,
  ranges: ReadonlyMap<string, Range>,
  options: LayoutOptions,
  node: string,
  weight: Format,
): LayoutParts {
  const { weights, biases } = target.layout(model, new Map([[node, { weight, activation: "float" }]]), ranges, options);
  return { weights, biases, edges: [] };
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
