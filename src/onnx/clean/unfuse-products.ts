import { entryOf } from "../../entry-of.js";
import type { TensorOf } from "../../tensor.js";
import { floatAttribute, floatsAttribute, intAttribute, intsAttribute, stringAttribute } from "../attributes.js";
import { TensorProto_DataType as Code, type NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import type { GraphFacts } from "../infer/facts.js";
import { int64Vector, makeLazyTensor } from "../initializer.js";
import { lazyBytesOf } from "../lazy-bytes.js";
import { makeNode, type NodeInit } from "../node.js";
import type { Note, Pass } from "./pass.js";

/** What a fused node becomes: other nodes, or nothing where it does not multiply by a stored weight. */
type Unfuse = (node: NodeProto, builder: Builder) => string | undefined;

/**
 * Takes products with stored weights out of the nodes that onnxruntime fuses them into, so that they are layers like any other. The runtime fuses what pays
 * again when it loads the model.
 */
export const unfuseProducts: Pass = {
  name: "unfuse-products",
  run: ({ graph, facts }) => {
    const notes: Note[] = [];
    for (const node of [...graph.nodes]) {
      if (node.domain !== "com.microsoft") continue;
      const builder = new Builder(graph, facts, node);
      const explanation = entryOf(unfuses, node.opType)?.(node, builder);
      if (explanation !== undefined) notes.push({ nodes: builder.finish(), explanation });
    }
    return notes;
  },
};

interface NewNode extends Pick<NodeInit, "domain" | "attributes"> {
  readonly outputs?: readonly string[];
  /** Attributes of the fused node that it has too. */
  readonly copied?: readonly string[];
}

/** Collects the nodes that take a node's place. */
class Builder {
  readonly #nodes: NodeProto[] = [];

  constructor(
    readonly graph: Graph,
    readonly facts: GraphFacts,
    readonly node: NodeProto,
  ) {}

  /** Adds a node and returns its first output, a value of its own unless outputs are given. */
  add(opType: string, inputs: readonly string[], options: NewNode = {}): string {
    const base = `${this.node.name}_${opType}`;
    const { outputs = [this.graph.uniqueName(base)], copied = [], ...init } = options;
    const added = makeNode({ opType, name: this.graph.uniqueName(base), inputs, outputs, ...init });
    added.attribute.push(...this.node.attribute.filter(({ name }) => copied.includes(name)));
    this.#nodes.push(added);
    return outputs[0]!;
  }

  /** The elements of a stored float weight that a port reads. */
  weight(port: number): TensorOf<"float32"> | undefined {
    const tensor = this.graph.constant(this.node.input[port] ?? "");
    return tensor?.dtype === "float32" ? tensor : undefined;
  }

  /** Puts the nodes in the old one's place and returns the names of all. */
  finish(): string[] {
    const at = this.graph.nodes.indexOf(this.node);
    this.graph.remove(this.node);
    const before = this.graph.nodes[at];
    for (const node of this.#nodes) this.graph.insert(node, before);
    return [this.node.name, ...this.#nodes.map(({ name }) => name)];
  }
}

/** Attention over a mask and biases alone: with the past of a decoder it stays as it is. */
const attention: Unfuse = (node, builder) => {
  const weight = builder.weight(1);
  const [input, , bias = "", givenMask = "", past = "", attentionBias = ""] = node.input;
  const special = past !== "" || (node.input[6] ?? "") !== "" || intAttribute(node, "do_rotary", 0) !== 0;
  const present = node.output[1] ?? "";
  const read = present !== "" && (builder.graph.uses(present).length > 0 || builder.graph.isOutput(present));
  if (weight === undefined || weight.dims.length !== 2 || special || read) return undefined;
  const mask = maskForMultiHead(builder.facts, givenMask, input!);
  if (mask === undefined) return undefined;
  const third = weight.dims[1]! / 3;
  const sizes = intsAttribute(node, "qkv_hidden_sizes", [third, third, third]);
  if (!sizes.every(Number.isInteger)) return undefined;
  const product = builder.add("MatMul", [input!, node.input[1]!]);
  const projected = bias === "" ? product : builder.add("Add", [product, bias]);
  const parts = ["query", "key", "value"].map((part) => builder.graph.uniqueName(`${node.name}_${part}`));
  const attributes = { axis: 2n };
  if (builder.graph.opset() < 13) {
    builder.add("Split", [projected], { outputs: parts, attributes: { ...attributes, split: sizes.map(BigInt) } });
  } else {
    const split = builder.graph.addInitializer(`${node.name}_sizes`, int64Vector(sizes));
    builder.add("Split", [projected, split], { outputs: parts, attributes });
  }
  const scale = floatAttribute(node, "scale", undefined);
  const hidden = floatAttribute(node, "mask_filter_value", undefined);
  const inputs = [...parts, "", mask, attentionBias];
  while (inputs.at(-1) === "") inputs.pop();
  builder.add("MultiHeadAttention", inputs, {
    domain: "com.microsoft",
    outputs: [node.output[0]!],
    attributes: {
      num_heads: BigInt(intAttribute(node, "num_heads", 0)),
      unidirectional: BigInt(intAttribute(node, "unidirectional", 0)),
      ...(scale === undefined ? {} : { scale }),
      ...(hidden === undefined ? {} : { mask_filter_value: hidden }),
    },
  });
  return "its product with the weights of queries, keys and values is a MatMul in front of it";
};

/**
 * The mask as MultiHeadAttention takes it: flags, or the end of each sample. It knows neither starts beside ends, which make a list twice as long, nor a
 * single flag that stands for no mask. Undefined where it takes none.
 */
function maskForMultiHead(facts: GraphFacts, mask: string, input: string): string | undefined {
  if (mask === "") return mask;
  const dims = facts.get(mask)?.dims;
  const samples = facts.get(input)?.dims?.[0];
  switch (dims?.length) {
    case 1:
      return samples !== undefined && (dims[0] === samples || dims[0] === 3 * Number(samples) + 2) ? mask : undefined;
    case 2:
      return dims[1] === 1 ? "" : mask;
    case 3:
      return mask;
    default:
      return undefined;
  }
}

const fusedMatMul: Unfuse = (node, builder) => {
  const weight = builder.weight(1);
  const set = (name: string) => intAttribute(node, name, 0) !== 0;
  if (weight?.dims.length !== 2 || set("transA") || set("transBatchA") || set("transBatchB")) return undefined;
  const alpha = floatAttribute(node, "alpha", 1);
  const stored = alpha === 1 && !set("transB") ? node.input[1]! : scaledMatrix(builder, weight, set("transB"), alpha);
  builder.add("MatMul", [node.input[0]!, stored], { outputs: [node.output[0]!] });
  return "it multiplies by a stored weight: a MatMul, its factor and transposition in the weight";
};

function scaledMatrix({ graph, node }: Builder, weight: TensorOf<"float32">, transposed: boolean, factor: number) {
  const [rows, columns] = weight.dims as [number, number];
  const dims = transposed ? [columns, rows] : [rows, columns];
  const make = (): TensorOf<"float32"> => {
    const scaled = weight.data.map((value) => value * factor);
    if (!transposed) return { dtype: "float32", dims, data: scaled };
    const turned = new Float32Array(scaled.length);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = scaled[i * columns + j]!;
    return { dtype: "float32", dims, data: turned };
  };
  const name = `${node.name}_weight`;
  // What is made of a weight that is not held in memory is not held either.
  const isHeld = lazyBytesOf(graph.initializer(node.input[1]!)!) === undefined;
  return graph.addInitializer(name, isHeld ? make() : makeLazyTensor(name, dims, Code.FLOAT, make));
}

const fusedGemm: Unfuse = (node, builder) => {
  const parameters = ["activation_alpha", "activation_beta", "activation_gamma"];
  const given = parameters.flatMap((name) => floatAttribute(node, name, undefined) ?? []);
  const product = activated(node, builder, stringAttribute(node, "activation", ""), given);
  if (product === undefined) return undefined;
  builder.add("Gemm", node.input, { outputs: [product], copied: ["transA", "transB", "alpha", "beta"] });
  return "a Gemm and its activation";
};

const fusedConv: Unfuse = (node, builder) => {
  const parameters = floatsAttribute(node, "activation_params", []);
  const sum = activated(node, builder, stringAttribute(node, "activation", ""), parameters);
  if (sum === undefined) return undefined;
  const [input, weight, bias = "", addend = ""] = node.input;
  const inputs = bias === "" ? [input!, weight!] : [input!, weight!, bias];
  const copied = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
  const conv = builder.add("Conv", inputs, addend === "" ? { outputs: [sum], copied } : { copied });
  if (addend !== "") builder.add("Add", [conv, addend], { outputs: [sum] });
  return "a Conv and its activation";
};

/** How an activation's parameters are called by the operator that it is; no entry for activations that onnxruntime does not fuse. */
const activationParameters: Readonly<Record<string, readonly string[]>> = {
  Relu: [],
  Sigmoid: [],
  Tanh: [],
  LeakyRelu: ["alpha"],
  HardSigmoid: ["alpha", "beta"],
  Elu: ["alpha"],
  Selu: ["alpha", "gamma"],
  Softplus: [],
  Softsign: [],
  ThresholdedRelu: ["alpha"],
};

/** Adds a fused node's activation, and returns the name of the value that it reads. */
function activated(
  node: NodeProto,
  builder: Builder,
  activation: string,
  given: readonly number[],
): string | undefined {
  const result = node.output[0]!;
  if (activation === "") return result;
  const names = entryOf(activationParameters, activation);
  const inner = builder.graph.uniqueName(`${node.name}_sum`);
  if (activation === "Clip" && builder.graph.opset() >= 11) {
    const bounds = given.map((bound) =>
      builder.graph.addInitializer(`${node.name}_bound`, { dtype: "float32", dims: [], data: Float32Array.of(bound) }),
    );
    builder.add("Clip", [inner, ...bounds], { outputs: [result] });
    return inner;
  }
  if (names === undefined) return undefined;
  const attributes = Object.fromEntries(names.flatMap((name, i) => (given[i] === undefined ? [] : [[name, given[i]]])));
  builder.add(activation, [inner], { outputs: [result], attributes });
  return inner;
}

const unfuses: Readonly<Record<string, Unfuse>> = {
  Attention: attention,
  FusedMatMul: fusedMatMul,
  FusedGemm: fusedGemm,
  FusedConv: fusedConv,
};
