import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { Graph } from "../onnx/graph.js";
import type { OnnxModel } from "../onnx/model.js";
import { findLayers } from "./layers.js";
import type { Kernel, Layout } from "./layout.js";
import { plannedKernels } from "./planned-kernels.js";

/** What became of the layers of a plan in the engine's optimized graph. */
export interface FusionReport {
  /** Every layer runs on the kind of kernel that the layout says, and no other quantized products are there. */
  readonly asPlanned: boolean;
  readonly layers: readonly LayerFusion[];
  /** Quantized products that belong to no layer. */
  readonly strays: readonly string[];
}

export interface LayerFusion {
  readonly node: string;
  readonly planned: Kernel;
  readonly found: Kernel;
  /** The engine's operator, or what went wrong. */
  readonly detail: string;
}

/** Products of onnxruntime's CPU kernels with a quantized weight, and the port of the weight. */
const quantizedProducts: Readonly<Record<string, { readonly kernel: Kernel; readonly port: number }>> = {
  QLinearConv: { kernel: "integer", port: 3 },
  QLinearMatMul: { kernel: "integer", port: 3 },
  QGemm: { kernel: "integer", port: 3 },
  MatMulIntegerToFloat: { kernel: "integer", port: 1 },
  MatMulInteger: { kernel: "integer", port: 1 },
  ConvInteger: { kernel: "integer", port: 1 },
  DynamicQuantizeMatMul: { kernel: "integer", port: 1 },
  MatMulNBits: { kernel: "blockwise", port: 1 },
  GatherBlockQuantized: { kernel: "blockwise", port: 0 },
};

/**
 * Compares the graph that onnxruntime made of an exported model with the layout. Layers are recognized by the name of their stored
 * codes, which optimizations keep. A quantized product with another weight is one that the engine quantized on its own, which its
 * name then tells: engines only append to the name of the node they replace.
 */
export function compareFusion(
  model: OnnxModel,
  layout: Layout,
  exported: OnnxModel,
  optimized: OnnxModel,
): FusionReport {
  const layers = findLayers(new Graph(model));
  const planned = plannedKernels(layers, layout);
  const codes = codesByLayer(exported, layout);
  const products = optimized.graph.node.filter(({ opType }) => Object.hasOwn(quantizedProducts, opType));
  const owned = new Set(codes.values());
  const weightOf = (product: NodeProto) => product.input[quantizedProducts[product.opType]!.port]!;
  const names = namesakes(
    layers.map(({ node }) => node),
    products.filter((product) => !owned.has(weightOf(product))),
  );
  const take = (matches: (product: NodeProto) => boolean): NodeProto | undefined => {
    const at = products.findIndex(matches);
    return at < 0 ? undefined : products.splice(at, 1)[0];
  };
  const fusions = layers.map(({ node, weight }): LayerFusion => {
    const plan = planned.get(node) ?? "float";
    const own = codes.get(node);
    const product =
      own === undefined
        ? take((candidate) => names.get(candidate) === node)
        : take((candidate) => weightOf(candidate) === own);
    if (product === undefined) {
      const detail =
        plan === "float"
          ? "float kernel"
          : `not fused: ${weight === undefined ? "what it multiplies is" : "the weight is"} dequantized on every run`;
      return { node, planned: plan, found: "float", detail };
    }
    const detail =
      own === undefined && weight !== undefined
        ? `${product.opType} on a weight that the engine quantized itself`
        : product.opType;
    return { node, planned: plan, found: quantizedProducts[product.opType]!.kernel, detail };
  });
  const strays = products.map(({ opType, name }) => `${opType} "${name}"`);
  const asPlanned = strays.length === 0 && fusions.every(({ planned, found }) => planned === found);
  return { asPlanned, layers: fusions, strays };
}

/** The layer that each product is named after: the longest name, where one layer's name begins another's. */
function namesakes(layers: readonly string[], products: readonly NodeProto[]): ReadonlyMap<NodeProto, string> {
  const longestFirst = layers.toSorted((a, b) => b.length - a.length);
  return new Map(
    products.flatMap((product) => {
      const layer = longestFirst.find((name) => isNamedAfter(product, name));
      return layer === undefined ? [] : [[product, layer] as const];
    }),
  );
}

function isNamedAfter(product: NodeProto, node: string): boolean {
  return product.name === node || product.name.startsWith(`${node}_token_`) || product.name.startsWith(`${node}/`);
}

/** The tensor of codes that each layer on an integer or blockwise kernel multiplies by in the exported file. */
function codesByLayer(exported: OnnxModel, layout: Layout): ReadonlyMap<string, string> {
  const graph = new Graph(exported);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const codes = new Map<string, string>();
  for (const { node, port, kernel } of layout.weights) {
    if (kernel === "float") continue;
    const weight = nodes.get(node)!.input[port]!;
    codes.set(node, kernel === "blockwise" ? weight : graph.producer(weight)!.input[0]!);
  }
  return codes;
}
