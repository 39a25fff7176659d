import { BitwrightError } from "../errors.js";
import type { Layout, Range } from "../export/layout.js";
import { plannedKernels } from "../export/planned-kernels.js";
import { exportModel } from "../export/qdq.js";
import type { PlannedLayer, Target } from "../export/targets/target.js";
import { choiceKey, type LayerChoice } from "../formats.js";
import { groupLayers } from "../groups.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { Graph } from "../onnx/graph.js";
import { type OnnxModel, writeModel } from "../onnx/model.js";
import { nodeReads } from "../onnx/traverse.js";
import type { Feeds, Tensor } from "../tensor.js";
import { type Carried, carriedBy, floatKernel } from "./latency-model.js";
import { partition, type TensorRole, tensorRoles } from "./partition.js";
import { timingSignature } from "./signature.js";
import { addStandIns, channelsOf, type StandIn, standInRanges } from "./stand-ins.js";
import { extractSubgraph, type Subgraph, subgraphBorder } from "./subgraph.js";

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
  readonly #isConvolution: ReadonlySet<string>;

  /** @param mostConfigurations - Parts are split as long as they have more. */
  constructor(subject: LatencySubject, mostConfigurations = 16) {
    this.subject = subject;
    this.kernels = kernelsOf(subject);
    // A table that is made float at load takes the same time in every format.
    const timed = subject.layers.filter(
      ({ node, inputs }) => inputs.length > 0 || new Set(Object.values(this.kernels[node]!)).size > 1,
    );
    const names = new Set(timed.map(({ node }) => node));
    this.#graph = new Graph(subject.model);
    this.#roles = tensorRoles(this.#graph, names);
    this.#isConvolution = new Set(subject.layers.filter(({ op }) => op.startsWith("Conv")).map(({ node }) => node));
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

  /** A choice under which a layer that has it carries that. */
  choiceThatCarries(carried: Carried): LayerChoice {
    for (const { node, choices } of this.subject.layers) {
      const choice = choices.find((candidate) => carriedBy(this.kernel(node, candidate)) === carried);
      if (choice !== undefined) return choice;
    }
    throw new BitwrightError("engine-failure", `no layer can carry ${carried}`);
  }

  /** Tensors whose values in one run the parts' inputs and sizes are taken from. */
  get tensors(): readonly string[] {
    const borders = this.parts.map(({ nodes }) => subgraphBorder(this.#graph, nodes, this.#roles));
    return [...new Set(borders.flatMap(({ inputs, shapes, outputs }) => [...inputs, ...shapes, ...outputs]))];
  }

  /**
   * Consecutive nodes, in any configuration.
   * @param sources - Stand in for what computes inputs of theirs.
   * @param sinks - Stand in for what reads outputs of theirs, or what sources hand over.
   */
  excerpt(
    nodes: readonly NodeProto[],
    values: ReadonlyMap<string, Tensor>,
    sources: readonly StandIn[] = [],
    sinks: readonly StandIn[] = [],
  ): Excerpt {
    const subgraph = addStandIns(this.#subgraph(nodes, values), sources, sinks, values);
    return {
      feeds: subgraph.feeds,
      signature: timingSignature(subgraph),
      export: (choices) =>
        writeModel(exportModel(subgraph.model, this.#layout(subgraph.model, choices, sources, sinks, values))),
    };
  }

  /** The joint between a part and the next. */
  joint(before: ChainPart, after: ChainPart, values: ReadonlyMap<string, Tensor>): Joint {
    const written = new Set(before.nodes.flatMap(({ output }) => output));
    const read = new Set(after.nodes.flatMap((node) => [...nodeReads(node)]));
    const tensors = before.cuts.filter((name) => written.has(name) && read.has(name));
    const giver = this.#lastLayerBefore(before, tensors);
    const taker = this.#firstLayerAfter(after, tensors);
    const convolves = [giver, taker].some((layer) => this.#isConvolution.has(layer ?? ""));
    const standIns = tensors.flatMap((tensor): StandIn[] => {
      const value = values.get(tensor)!;
      const standIn: StandIn = {
        tensor,
        op: convolves && value.dims.length > 2 ? "Conv" : "MatMul",
        source: this.#graph.freeName(`${tensor}/source`),
        sink: this.#graph.freeName(`${tensor}/sink`),
      };
      const usable = value.dtype === "float32" && value.dims.length >= 2;
      return usable && (standIn.op === "Conv" || channelsOf(standIn, value) <= widestProduct) ? [standIn] : [];
    });
    return {
      tensors,
      standIns,
      giver: this.#givesCodes(before, standIns, values) ? giver : undefined,
      taker: this.#takesCodes(after, standIns, values) ? taker : undefined,
    };
  }

  /** Whether a part hands tensors over as codes when all its layers and those behind run on codes: then an output of the graph is read as codes. */
  #givesCodes(part: ChainPart, standIns: readonly StandIn[], values: ReadonlyMap<string, Tensor>): boolean {
    const choices = this.onCodes(part.units);
    if (choices.size === 0) return false;
    for (const { sink } of standIns) choices.set(sink, this.choiceThatCarries("codes"));
    const bare = this.#subgraph(part.nodes, values);
    const outputs = [...bare.model.graph.output];
    const { model } = addStandIns(bare, [], standIns, values);
    model.graph.output.push(...outputs.filter(({ name }) => standIns.some(({ tensor }) => tensor === name)));
    const { edges } = this.#layout(model, choices, [], standIns, values);
    return edges.some(
      ({ node, tensor }) => node === undefined && standIns.some((standIn) => standIn.tensor === tensor),
    );
  }

  /** Whether a part reads tensors as codes when all its layers run on codes. */
  #takesCodes(part: ChainPart, standIns: readonly StandIn[], values: ReadonlyMap<string, Tensor>): boolean {
    const choices = this.onCodes(part.units);
    if (choices.size === 0) return false;
    const { model } = addStandIns(this.#subgraph(part.nodes, values), standIns, [], values);
    const { edges } = this.#layout(model, choices, standIns, [], values);
    return edges.some(({ tensor }) => standIns.some((standIn) => standIn.tensor === tensor));
  }

  /** Choices that bring layers onto codes; those that cannot are left out. */
  onCodes(units: readonly Unit[]): Map<string, LayerChoice> {
    return new Map(
      units.flatMap(({ layers, options }) => {
        const choice = options.find((option) => carriedBy(this.kernel(layers[0]!, option)) === "codes");
        return choice === undefined ? [] : layers.map((layer) => [layer, choice] as const);
      }),
    );
  }

  #subgraph(nodes: readonly NodeProto[], values: ReadonlyMap<string, Tensor>): Subgraph {
    return extractSubgraph(
      this.subject.model,
      this.#graph,
      nodes,
      subgraphBorder(this.#graph, nodes, this.#roles),
      values,
    );
  }

  #layout(
    model: OnnxModel,
    choices: ReadonlyMap<string, LayerChoice>,
    sources: readonly StandIn[],
    sinks: readonly StandIn[],
    values: ReadonlyMap<string, Tensor>,
  ): Layout {
    const { target, ranges } = this.subject;
    return target.layout(model, choices, new Map([...standInRanges(sources, sinks, values), ...ranges]));
  }

  /** The last layer of a part whose result reaches tensors without passing another layer. */
  #lastLayerBefore({ nodes, layers }: ChainPart, tensors: readonly string[]): string | undefined {
    const wanted = new Set(tensors);
    for (const node of nodes.toReversed()) {
      if (!node.output.some((name) => wanted.has(name))) continue;
      if (layers.includes(node.name)) return node.name;
      for (const name of node.input) wanted.add(name);
    }
    return undefined;
  }

  /** The first layer of a part that tensors reach without passing another layer. */
  #firstLayerAfter({ nodes, layers }: ChainPart, tensors: readonly string[]): string | undefined {
    const carried = new Set(tensors);
    for (const node of nodes) {
      if (!node.input.some((name) => carried.has(name))) continue;
      if (layers.includes(node.name)) return node.name;
      for (const name of node.output) carried.add(name);
    }
    return undefined;
  }
}

/** A product with more channels would take longer than what it stands in for. */
const widestProduct = 2048;

/** Where two parts meet. */
export interface Joint {
  /** Computed by the one and read by the other. */
  readonly tensors: readonly string[];
  /** The layer that makes the first part hand over codes; undefined when it never does. */
  readonly giver: string | undefined;
  /** The layer that makes the second part take codes; undefined when it never does. */
  readonly taker: string | undefined;
  /** For the tensors, as far as layers can stand in for a neighbour. */
  readonly standIns: readonly StandIn[];
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
    const layout = target.layout(model, new Map(takers.map(({ node }) => [node, choice])), ranges);
    const planned = plannedKernels(takers, layout);
    const storages = new Map(layout.weights.map(({ node, storage }) => [node, storage]));
    for (const { node } of takers) {
      const kernel = planned.get(node) ?? floatKernel;
      // Products with packed weights take as long as their packing makes them; other kernels never see how a weight is stored.
      kernels[node]![key] = kernel === "blockwise" ? `${kernel} ${storages.get(node)}` : kernel;
    }
  }
  return kernels;
}
