import type { NodeProto } from "../../../onnx/generated/onnx_pb.js";
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
 * Grows integer regions around the layers that run on integer kernels. Operators that keep the grid follow wherever codes come in:
 * onnxruntime would move a DequantizeLinear behind them anyway, in front of a float layer perhaps. Those that rescale join when
 * some integer layer further on takes what comes out: then they save a conversion, and otherwise they would only add rounding.
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
      for (const { port, tensor } of layer.inputs) reads.push({ node: node.name, port, tensor });
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
    const grids = flow.kind === "keep" ? keptGrids(node) : rescaledGrids(graph, node, wanted);
    if (grids.length === 0) continue;
    for (const port of flow.ports) reads.push({ node: node.name, port, tensor: node.input[port]! });
    for (const [tensor, grid] of grids) written.set(tensor, grid);
  }
  return { written, reads };
}

function keptGrids(node: NodeProto): [tensor: string, grid: Grid][] {
  return node.output.filter((name) => name !== "").map((name) => [name, { kind: "same", as: node.input[0]! }]);
}

function rescaledGrids(graph: Graph, node: NodeProto, wanted: ReadonlySet<string>): [tensor: string, grid: Grid][] {
  const clamp = clampBehind(graph, node.output[0]!);
  const output = clamp?.output ?? node.output[0]!;
  return wanted.has(output) ? [[output, { kind: "range", ceiling: clamp?.ceiling }]] : [];
}

/** Tensors that an integer layer reads, directly or through operators that can run on codes. */
function tensorsOnTheWayToLayers(graph: Graph, integerLayers: ReadonlyMap<string, Layer>): ReadonlySet<string> {
  const wanted = new Set<string>();
  for (const node of graph.nodes.toReversed()) {
    const layer = integerLayers.get(node.name);
    if (layer !== undefined) {
      for (const { tensor } of layer.inputs) wanted.add(tensor);
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
