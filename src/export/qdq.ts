import { BitwrightError } from "../errors.js";
import type { WeightFormat } from "../formats.js";
import { demand } from "../given.js";
import { cloneMessage } from "../onnx/clone.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { Graph } from "../onnx/graph.js";
import type { OnnxModel } from "../onnx/model.js";
import { makeNode } from "../onnx/node.js";
import { upgradeOpset } from "../onnx/upgrade/index.js";
import { PackedWeights } from "./blockwise.js";
import type { EdgeLayout, Layout } from "./layout.js";
import { quantizeActivation } from "./stored-activations.js";
import { StoredConstants } from "./stored-constants.js";
import { StoredWeights } from "./stored-weights.js";

/**
 * Writes a layout into a copy of a model: integer initializers for its weights and biases, QuantizeLinear and DequantizeLinear around
 * what its edges read. The model itself stays as it is; metadata and unknown fields survive in the copy.
 * @param model - The cleaned float model that the layout was made for.
 */
export function exportModel(model: OnnxModel, layout: Layout): OnnxModel {
  demand("model", model);
  demand("layout", layout);
  const needed = neededVersions(layout);
  const proto = cloneMessage(upgradeOpset(model, needed.opset).model.proto);
  if (proto.irVersion < needed.ir) proto.irVersion = needed.ir;
  const copy: OnnxModel = { proto, graph: proto.graph! };
  const graph = new Graph(copy);
  const nodeOf = nodesByName(graph);
  const constants = new StoredConstants(graph);
  const stored = new StoredWeights(graph, constants);
  const copies = new Map(layout.copies?.map(({ initializer, of }) => [initializer, of]));
  const floats = new Map<string, string>();
  for (const weight of layout.weights) {
    if (weight.kernel === "blockwise" || copies.has(weight.initializer)) continue;
    const name = stored.weight(weight);
    floats.set(weight.initializer, name);
    // Embeddings, for one, may read the weight of a layer too.
    if (weight.kernel === "float") graph.redirect(weight.initializer, name);
    else graph.setInput(nodeOf(weight.node), weight.port, name);
  }
  for (const bias of layout.biases) graph.setInput(nodeOf(bias.node), bias.port, stored.bias(bias));
  for (const [tensor, edges] of byTensor(layout.edges)) quantizeActivation(graph, constants, nodeOf, tensor, edges);
  // Last, since the nodes are replaced.
  const blockwise = layout.weights.filter((weight) => weight.kernel === "blockwise");
  if (blockwise.length > 0) {
    const packed = new PackedWeights(copy, graph);
    const originals = new Map(blockwise.map((weight) => [weight.initializer, weight]));
    for (const weight of blockwise) {
      packed.replace(nodeOf(weight.node), originals.get(copies.get(weight.initializer) ?? weight.initializer)!);
    }
  }
  for (const [copy, original] of copies) {
    if (graph.uses(copy).length > 0) graph.redirect(copy, transposeOf(graph, floats.get(original) ?? original));
  }
  for (const { initializer } of [...layout.weights, ...layout.biases, ...(layout.copies ?? [])]) {
    if (graph.uses(initializer).length === 0 && !graph.isOutput(initializer)) graph.removeInitializer(initializer);
  }
  graph.sort();
  return copy;
}

/** The transpose of a matrix that does not depend on inputs: sessions compute it once, at load. */
function transposeOf(graph: Graph, matrix: string): string {
  const output = graph.uniqueName(`${matrix}_transposed`);
  const attributes = { perm: [1n, 0n] };
  graph.insert(makeNode({ opType: "Transpose", name: output, inputs: [matrix], outputs: [output], attributes }));
  return output;
}

/** Since when ONNX's Cast takes what is stored, as operator set and IR version. */
const castsSince: Readonly<Partial<Record<WeightFormat, { readonly opset: number; readonly ir: bigint }>>> = {
  fp8e4m3: { opset: 19, ir: 9n },
  fp8e5m2: { opset: 19, ir: 9n },
  int4: { opset: 21, ir: 10n },
};

/** DequantizeLinear has an axis, and Cast takes all 16-bit types, since operator set 13. */
function neededVersions({ weights }: Layout): { readonly opset: number; readonly ir: bigint } {
  const needs = weights.flatMap(({ storage, kernel }) => (kernel === "blockwise" ? [] : (castsSince[storage] ?? [])));
  return needs.reduce((most, need) => (need.opset > most.opset ? need : most), { opset: 13, ir: 7n });
}

function nodesByName(graph: Graph): (name: string) => NodeProto {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  return (name) => {
    const node = nodes.get(name);
    if (node !== undefined) return node;
    throw new BitwrightError("engine-failure", `the layout names a node "${name}" that the model lacks`);
  };
}

function byTensor(edges: readonly EdgeLayout[]): ReadonlyMap<string, readonly EdgeLayout[]> {
  const groups = new Map<string, EdgeLayout[]>();
  for (const edge of edges) {
    const group = groups.get(edge.tensor);
    if (group === undefined) groups.set(edge.tensor, [edge]);
    else group.push(edge);
  }
  return groups;
}
