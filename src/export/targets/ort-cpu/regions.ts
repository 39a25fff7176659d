import type { Graph } from "../../../onnx/graph.js";
import type { Layer } from "../../layers.js";
import { clampBehind } from "./activation-function.js";
import { flowNode } from "./flow-operators.js";

/** Where a tensor's grid comes from: its own range, clamped to [0, ceiling] if an activation function does that; or another tensor. */
export type Grid =
  | { readonly kind: "range"; readonly ceiling: number | undefined }
  | { readonly kind: "same"; readonly as: string };

/** The parts of a graph that run on integers. */
export interface IntegerRegions {
  /** Tensors that integer kernels write: whatever reads one reads codes. */
  readonly written: ReadonlyMap<string, Grid>;
  /** Reads by integer kernels, also of tensors that float kernels write. */
  readonly reads: readonly { readonly node: string; readonly port: number; readonly tensor: string }[];
}

/**
 * Grows integer regions around the layers that run on integer kernels. An operator without weights joins when codes come in and some
 * integer layer further on takes what comes out: then it saves a conversion, and otherwise it would only add rounding.
 */
export function integerRegions(
  graph: Graph,
  layers: readonly Layer[],
  isInteger: (layer: Layer) => boolean,
): IntegerRegions {
  const integerLayers = new Map(layers.filter(isInteger).map((layer) => [layer.node, layer]));
  const wanted = tensorsOnTheWayToLayers(graph, integerLayers);
  const written = new Map<string, Grid>();
  const reads: { node: string; port: number; tensor: string }[] = [];
  for (const node of graph.nodes) {
    const layer = integerLayers.get(node.name);
    if (layer !== undefined) {
      reads.push({ node: node.name, ...layer.input });
      const clamp = clampBehind(graph, layer.output);
      const output = clamp?.output ?? layer.output;
      // QLinearConv writes codes only. Products can be had in float, but no kernel then also applies an activation function.
      if (layer.op === "Conv" || clamp !== undefined || wanted.has(output)) {
        written.set(output, { kind: "range", ceiling: clamp?.ceiling });
      }
      continue;
    }
    const flow = flowNode(graph, node);
    if (flow === undefined || !flow.ports.some((port) => written.has(node.input[port]!))) continue;
    const clamp = flow.kind === "rescale" ? clampBehind(graph, node.output[0]!) : undefined;
    const outputs = clamp === undefined ? node.output.filter((name) => name !== "") : [clamp.output];
    if (!outputs.some((name) => wanted.has(name))) continue;
    for (const port of flow.ports) reads.push({ node: node.name, port, tensor: node.input[port]! });
    for (const name of outputs) {
      written.set(
        name,
        flow.kind === "keep" ? { kind: "same", as: node.input[0]! } : { kind: "range", ceiling: clamp?.ceiling },
      );
    }
  }
  return { written, reads };
}

/** Tensors that an integer layer reads, directly or through operators that can run on codes. */
function tensorsOnTheWayToLayers(graph: Graph, integerLayers: ReadonlyMap<string, Layer>): ReadonlySet<string> {
  const wanted = new Set<string>();
  for (const node of graph.nodes.toReversed()) {
    const layer = integerLayers.get(node.name);
    if (layer !== undefined) {
      wanted.add(layer.input.tensor);
      continue;
    }
    const flow = flowNode(graph, node);
    if (flow === undefined) continue;
    const clamp = flow.kind === "rescale" ? clampBehind(graph, node.output[0]!) : undefined;
    const outputs = clamp === undefined ? node.output : [clamp.output];
    if (outputs.some((name) => wanted.has(name))) for (const port of flow.ports) wanted.add(node.input[port]!);
  }
  return wanted;
}
