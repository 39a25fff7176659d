import { BitwrightError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import type { GraphProto, ModelProto, NodeProto, TensorProto } from "./generated/onnx_pb.js";
import { makeTensor, readExactTensor } from "./initializer.js";
import type { OnnxModel } from "./model.js";
import { topologicalOrder } from "./order.js";
import { capturedNames, definedNames, describeNode, everyNode, renameCaptured, subgraphs } from "./traverse.js";
import { canonicalDomain } from "./validate.js";

/** One place that reads a value: a node's input port, or `capturedPort` when a subgraph of the node reads it. */
export interface Use {
  readonly node: NodeProto;
  readonly port: number;
}

/** The port of a use from inside a node's subgraphs. */
export const capturedPort = -1;

/**
 * An editable view of a model's main graph, with an index of who makes and who reads each value. Edits go through its methods
 * and show in the model at once; nodes may end up out of order until `sort` is called.
 */
export class Graph {
  readonly proto: GraphProto;
  readonly #model: ModelProto;
  readonly #producers = new Map<string, NodeProto>();
  readonly #uses = new Map<string, Use[]>();
  readonly #initializers = new Map<string, TensorProto>();
  readonly #inputs: Set<string>;
  readonly #outputs: ReadonlySet<string>;
  readonly #constants = new WeakMap<TensorProto, Tensor>();
  readonly #names = new Set<string>();
  #revision = 0;

  constructor(model: OnnxModel) {
    this.#model = model.proto;
    this.proto = model.graph;
    this.#inputs = new Set(this.proto.input.map((input) => input.name));
    this.#outputs = new Set(this.proto.output.map((output) => output.name));
    for (const tensor of this.proto.initializer) this.#initializers.set(tensor.name, tensor);
    for (const node of this.proto.node) this.#index(node);
    for (const name of definedNames(this.proto)) this.#names.add(name);
    for (const node of everyNode(this.proto)) {
      this.#names.add(node.name);
      for (const inner of subgraphs(node)) for (const name of definedNames(inner)) this.#names.add(name);
    }
  }

  /** Grows with every edit, so that what was derived from the graph can be kept until it is stale. */
  get revision(): number {
    return this.#revision;
  }

  get nodes(): readonly NodeProto[] {
    return this.proto.node;
  }

  /** Version of an operator set that the model imports; 0 when it does not. */
  opset(domain = ""): number {
    const entry = this.#model.opsetImport.find((set) => canonicalDomain(set.domain) === canonicalDomain(domain));
    return Number(entry?.version ?? 0n);
  }

  /** The node that computes a value; undefined for graph inputs and initializers. */
  producer(name: string): NodeProto | undefined {
    return this.#producers.get(name);
  }

  /** Every read of a value by nodes, one entry for each port. A graph output is not among them. */
  uses(name: string): readonly Use[] {
    return this.#uses.get(name) ?? [];
  }

  /** The only reader of a value; undefined when there are more or none, and when the value leaves the graph or enters a subgraph. */
  soleUse(name: string): Use | undefined {
    const uses = this.uses(name);
    return uses.length === 1 && uses[0]!.port !== capturedPort && !this.isOutput(name) ? uses[0] : undefined;
  }

  isInput(name: string): boolean {
    return this.#inputs.has(name);
  }

  isOutput(name: string): boolean {
    return this.#outputs.has(name);
  }

  /** The stored tensor of a name, also when it is only the default of a graph input. */
  initializer(name: string): TensorProto | undefined {
    return this.#initializers.get(name);
  }

  /**
   * A value that is the same in every run: that of an initializer which no graph input overrides. Undefined for others, and for
   * element types that would change by reading them (float16, packed codes) or cannot be read.
   */
  constant(name: string): Tensor | undefined {
    const stored = this.#initializers.get(name);
    if (stored === undefined || this.isInput(name)) return undefined;
    const known = this.#constants.get(stored);
    if (known !== undefined) return known;
    const tensor = readExactTensor(stored);
    if (tensor !== undefined) this.#constants.set(stored, tensor);
    return tensor;
  }

  /** Stores a tensor under a name, in place of the one that was there. */
  setInitializer(name: string, tensor: Tensor | TensorProto): void {
    this.#revision++;
    const stored = "$typeName" in tensor ? tensor : makeTensor(name, tensor);
    stored.name = name;
    const old = this.#initializers.get(name);
    if (old === undefined) this.proto.initializer.push(stored);
    else this.proto.initializer[this.proto.initializer.indexOf(old)] = stored;
    this.#initializers.set(name, stored);
    this.#names.add(name);
  }

  /** Stores a tensor under a new name that starts with `base`, and returns the name. */
  addInitializer(base: string, tensor: Tensor | TensorProto): string {
    const name = this.uniqueName(base);
    this.setInitializer(name, tensor);
    return name;
  }

  removeInitializer(name: string): void {
    this.#revision++;
    const stored = this.#initializers.get(name);
    if (stored === undefined) return;
    this.proto.initializer.splice(this.proto.initializer.indexOf(stored), 1);
    this.#initializers.delete(name);
  }

  /** Takes a value out of the graph's inputs: what remains is its initializer. */
  removeInput(name: string): void {
    this.#revision++;
    this.proto.input = this.proto.input.filter((input) => input.name !== name);
    this.#inputs.delete(name);
  }

  /** Adds a node, at the end or in front of another one. */
  insert(node: NodeProto, before?: NodeProto): void {
    this.#revision++;
    const at = before === undefined ? this.proto.node.length : this.proto.node.indexOf(before);
    for (const name of node.output) {
      if (name !== "" && this.#producers.has(name)) {
        throw new BitwrightError("engine-failure", `the value "${name}" would have two producers`, {
          where: describeNode(node),
        });
      }
    }
    this.proto.node.splice(at, 0, node);
    this.#index(node);
    this.#names.add(node.name);
    for (const name of node.output) this.#names.add(name);
  }

  /** Removes a node. Its outputs lose their producer; redirect or redefine them. */
  remove(node: NodeProto): void {
    this.#revision++;
    this.proto.node.splice(this.proto.node.indexOf(node), 1);
    this.#unindex(node);
  }

  /** Puts a node in the place of another one, whose outputs it may take over. */
  replace(node: NodeProto, replacement: NodeProto): void {
    const at = this.proto.node.indexOf(node);
    this.remove(node);
    this.insert(replacement, this.proto.node[at]);
  }

  /** Lets one input port read another value; "" leaves the input out. Ports beyond the last one are filled up with "". */
  setInput(node: NodeProto, port: number, name: string): void {
    this.#revision++;
    this.#unindex(node);
    while (node.input.length <= port) node.input.push("");
    node.input[port] = name;
    while (node.input.at(-1) === "") node.input.pop();
    this.#index(node);
  }

  /** Gives an output port another name. Its readers keep reading the old one until they are redirected. */
  setOutput(node: NodeProto, port: number, name: string): void {
    this.#revision++;
    this.#unindex(node);
    node.output[port] = name;
    this.#index(node);
    this.#names.add(name);
  }

  /** Lets everything that reads one value read another one: nodes and their subgraphs, but not the graph's outputs. */
  redirect(from: string, to: string): void {
    for (const { node, port } of [...this.uses(from)]) {
      if (port !== capturedPort) {
        this.setInput(node, port, to);
        continue;
      }
      this.#revision++;
      this.#unindex(node);
      for (const inner of subgraphs(node)) renameCaptured(inner, from, to);
      this.#index(node);
    }
  }

  /** A name that no value and no node of the model has, made of `base` and a number where needed. It counts as taken from then on. */
  uniqueName(base: string): string {
    const name = this.freeName(base);
    this.#names.add(name);
    return name;
  }

  /** What `uniqueName` would give; it stays free. */
  freeName(base: string): string {
    let name = base;
    for (let n = 1; name === "" || this.#names.has(name); n++) name = `${base}_${n}`;
    return name;
  }

  /** Puts the nodes into an order in which each comes after what it reads. */
  sort(): void {
    this.#revision++;
    this.proto.node = topologicalOrder(this.proto.node);
  }

  #index(node: NodeProto): void {
    for (const name of node.output) if (name !== "") this.#producers.set(name, node);
    for (const use of usesBy(node)) {
      const uses = this.#uses.get(use.name);
      if (uses === undefined) this.#uses.set(use.name, [use]);
      else uses.push(use);
    }
  }

  #unindex(node: NodeProto): void {
    for (const name of node.output) if (this.#producers.get(name) === node) this.#producers.delete(name);
    for (const { name } of usesBy(node)) {
      const rest = this.uses(name).filter((use) => use.node !== node);
      if (rest.length === 0) this.#uses.delete(name);
      else this.#uses.set(name, rest);
    }
  }
}

function* usesBy(node: NodeProto): Generator<Use & { readonly name: string }> {
  for (const [port, name] of node.input.entries()) if (name !== "") yield { node, port, name };
  const captured = new Set<string>();
  for (const inner of subgraphs(node)) for (const name of capturedNames(inner)) captured.add(name);
  for (const name of captured) yield { node, port: capturedPort, name };
}
