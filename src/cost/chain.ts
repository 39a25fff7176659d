import type { Range } from "../export/layout.js";
import { exportModel } from "../export/qdq.js";
import type { PlannedLayer, Target } from "../export/targets/target.js";
import { choiceKey, type LayerChoice } from "../formats.js";
import { groupLayers } from "../groups.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { Graph } from "../onnx/graph.js";
import { type OnnxModel, writeModel } from "../onnx/model.js";
import type { Feeds, Tensor } from "../tensor.js";
import { floatKernel } from "./latency-model.js";
import { partition, type TensorRole, tensorRoles } from "./partition.js";
import { timingSignature } from "./signature.js";
import { extractSubgraph, type SubgraphBorder, subgraphBorder } from "./subgraph.js";

/** A model whose configurations are to be timed. */
export interface LatencySubject {
  /** Cleaned. */
  readonly model: OnnxModel;
  readonly target: Target;
  /** With the choices that may be taken. */
  readonly layers: readonly PlannedLayer[];
  /** Of the tensors that the target observes. */
  readonly ranges: ReadonlyMap<string, Range>;
}

/** What layers of one part that go together can run on. */
export interface Unit {
  readonly layers: readonly string[];
  /** One choice for each kernel, float first. */
  readonly options: readonly LayerChoice[];
}

export interface ChainPart {
  readonly nodes: readonly NodeProto[];
  readonly layers: readonly string[];
  readonly units: readonly Unit[];
  readonly cuts: readonly string[];
}

/** A model as a chain of parts that can be exported alone or with their neighbours. */
export class Chain {
  readonly subject: LatencySubject;
  readonly parts: readonly ChainPart[];
  /** The kernel of each choice (`choiceKey`) of each layer. */
  readonly kernels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly #graph: Graph;
  readonly #roles: ReadonlyMap<string, TensorRole>;

  /** @param mostConfigurations - Parts are split as long as they have more. */
  constructor(subject: LatencySubject, mostConfigurations = 64) {
    const names = new Set(subject.layers.map(({ node }) => node));
    this.subject = subject;
    this.#graph = new Graph(subject.model);
    this.#roles = tensorRoles(this.#graph, names);
    this.kernels = kernelsOf(subject);
    const units = groupLayers(subject.layers).map(({ layers, choices }): Unit => {
      const kernels = new Set<string>();
      return {
        layers: layers.map(({ node }) => node),
        options: choices.filter((choice) => {
          const kernel = layers.map(({ node }) => this.kernels[node]![choiceKey(choice)]).join();
          return !kernels.has(kernel) && kernels.add(kernel);
        }),
      };
    });
    const unitsIn = (members: readonly string[]) =>
      units.flatMap((unit): Unit[] => {
        const layers = unit.layers.filter((layer) => members.includes(layer));
        return layers.length === 0 ? [] : [{ layers, options: unit.options }];
      });
    const isSmall = (members: readonly string[]) =>
      unitsIn(members).reduce((product, { options }) => product * options.length, 1) <= mostConfigurations;
    this.parts = partition(this.#graph, names, isSmall).map((part) => ({ ...part, units: unitsIn(part.layers) }));
  }

  kernel(layer: string, choice: LayerChoice): string {
    return this.kernels[layer]![choiceKey(choice)]!;
  }

  /** Tensors whose values in one run the parts' inputs and sizes are taken from. */
  get tensors(): readonly string[] {
    const borders = this.parts.map(({ nodes }) => this.#border(nodes));
    return [...new Set(borders.flatMap(({ inputs, shapes, outputs }) => [...inputs, ...shapes, ...outputs]))];
  }

  /** Consecutive nodes in different configurations. */
  excerpt(nodes: readonly NodeProto[], values: ReadonlyMap<string, Tensor>): Excerpt {
    const { target, ranges, model } = this.subject;
    const border = this.#border(nodes);
    const { model: alone, feeds } = extractSubgraph(model, this.#graph, nodes, border, values);
    return {
      feeds,
      signature: timingSignature(this.#graph, nodes, border, values),
      export: (choices) => writeModel(exportModel(alone, target.layout(alone, choices, ranges))),
    };
  }

  /** Layers of a part whose results reach its cuts without passing another layer. */
  layersBefore({ nodes, layers, cuts }: ChainPart): readonly string[] {
    const wanted = new Set(cuts);
    const found = new Set<string>();
    for (const node of nodes.toReversed()) {
      if (!node.output.some((name) => wanted.has(name))) continue;
      if (layers.includes(node.name)) found.add(node.name);
      else for (const name of node.input) wanted.add(name);
    }
    return layers.filter((layer) => found.has(layer));
  }

  /** Layers of a part that tensors reach without passing another layer, and those whose results they meet on the way. */
  layersAfter({ nodes, layers }: ChainPart, tensors: readonly string[]): readonly string[] {
    const carried = new Set(tensors);
    const sources = new Map<string, readonly string[]>();
    const found = new Set<string>();
    for (const node of nodes) {
      const isLayer = layers.includes(node.name);
      const origins = isLayer ? [node.name] : node.input.flatMap((name) => sources.get(name) ?? []);
      for (const name of node.output) sources.set(name, origins);
      if (!node.input.some((name) => carried.has(name))) continue;
      for (const layer of origins) found.add(layer);
      if (isLayer) continue;
      for (const name of node.output) if (this.#roles.get(name) === "data") carried.add(name);
    }
    return layers.filter((layer) => found.has(layer));
  }

  #border(nodes: readonly NodeProto[]): SubgraphBorder {
    return subgraphBorder(this.#graph, nodes, this.#roles);
  }
}

export interface Excerpt {
  readonly feeds: Feeds;
  /** The same for excerpts that take the same time. */
  readonly signature: string;
  /** The excerpt as an ONNX file. */
  export(choices: ReadonlyMap<string, LayerChoice>): Uint8Array;
}

/** The kernels that the target's layouts name, from one layout for each choice that layers have in common. */
function kernelsOf({ model, target, layers, ranges }: LatencySubject): Record<string, Record<string, string>> {
  const kernels: Record<string, Record<string, string>> = Object.fromEntries(layers.map(({ node }) => [node, {}]));
  const choices = new Map(
    layers.flatMap((layer) => layer.choices.map((choice) => [choiceKey(choice), choice] as const)),
  );
  for (const [key, choice] of choices) {
    const takers = layers.filter((layer) => layer.choices.some((own) => choiceKey(own) === key));
    const { weights } = target.layout(model, new Map(takers.map(({ node }) => [node, choice])), ranges);
    // Products with packed weights take as long as their packing makes them; other kernels never see how a weight is stored.
    const found = new Map(
      weights.map(({ node, kernel, storage }) => [node, kernel === "blockwise" ? `${kernel} ${storage}` : kernel]),
    );
    for (const { node } of takers) kernels[node]![key] = found.get(node) ?? floatKernel;
  }
  return kernels;
}
