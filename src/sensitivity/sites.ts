import { type Format, formats } from "../formats.js";
import type { Range } from "../export/layout.js";
import type { PlannedLayer } from "../export/targets/target.js";
import { weightQuantizer } from "../export/weight-quantizer.js";
import type { Quantizer } from "../quantizer.js";
import { elementCount } from "../tensor.js";
import type { Workspace } from "../workspace.js";
import type { Site } from "./criterion.js";

/** The weight and, where the target can quantize it, the activation of every layer. */
export function sitesOf(
  workspace: Workspace,
  ranges: ReadonlyMap<string, Range>,
  dims: ReadonlyMap<string, readonly number[]>,
): Site[] {
  const activations = activationQuantizers(workspace, ranges);
  return workspace.layers.flatMap((layer) => {
    const { node, op, group, weight, input } = layer;
    const common = { node, op, group };
    const weightSite: Site = {
      ...common,
      id: `${node}/weight`,
      kind: "weight",
      tensor: weight.initializer,
      port: weight.port,
      elements: elementCount(weight.dims),
      quantizers: new Map(
        offered(layer, "weight").map((format) => [format, quantizerOf(workspace, layer, format)]),
      ),
    };
    const quantizer = activations.get(node);
    if (quantizer === undefined) return [weightSite];
    const activationSite: Site = {
      ...common,
      id: `${node}/activation`,
      kind: "activation",
      tensor: input.tensor,
      port: input.port,
      elements: elementCount(dims.get(input.tensor)!.slice(1)),
      quantizers: new Map(offered(layer, "activation").map((format) => [format, quantizer])),
    };
    return [weightSite, activationSite];
  });
}

function offered({ choices }: PlannedLayer, part: "weight" | "activation"): Format[] {
  return [...new Set(choices.map((choice) => choice[part]))].filter((format) => format !== "float");
}

function quantizerOf({ weightScales, weight }: Workspace, layer: PlannedLayer, format: Format): Quantizer {
  const bits = formats[format].bits === 4 ? 4 : 8;
  const limit = 2 ** (bits - 1) - 1;
  const scales = weightScales({ layer, weight: weight(layer.weight.initializer), limit });
  return weightQuantizer(bits, limit, layer.weight.channelAxis, scales);
}

/** The quantizer of each layer's input when all layers that can be are integer. */
function activationQuantizers(workspace: Workspace, ranges: ReadonlyMap<string, Range>): Map<string, Quantizer> {
  const { target, model, layers, weightScales } = workspace;
  const integer = layers.flatMap(({ node, choices }) => {
    const choice = choices.find(({ activation }) => activation !== "float");
    return choice === undefined ? [] : [[node, choice] as const];
  });
  const { edges } = target.layout(model, new Map(integer), ranges, { weightScales });
  const ports = new Map(layers.map(({ node, input }) => [node, input.port]));
  return new Map(
    edges.flatMap(({ node, port, quantizer }) => (node !== undefined && ports.get(node) === port ? [[node, quantizer] as const] : [])),
  );
}
