import { entryOf } from "../../entry-of.js";
import type { Tensor } from "../../tensor.js";
import { exactHolder } from "../data-types.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { topologicalOrder } from "../order.js";
import { canonicalDomain } from "../validate.js";
import { type Dim, declaredTypes, type ValueType } from "../value-types.js";
import { contentOf } from "./content.js";
import { contentOfOutput } from "./contents.js";
import { staticDims } from "./dims.js";
import { type Facts, Operands, type TypeRule } from "./operands.js";
import { attentionTypes, microsoftTypes } from "./types-attention.js";
import { cutTypes } from "./types-cut.js";
import { elementwiseTypes } from "./types-elementwise.js";
import { generateTypes } from "./types-generate.js";
import { layerTypes } from "./types-layers.js";
import { layoutTypes } from "./types-layout.js";
import { reduceTypes } from "./types-reduce.js";
import { signalTypes } from "./types-signals.js";

/** By domain and operator. */
export const typeRules: Readonly<Record<string, Readonly<Record<string, TypeRule>>>> = {
  "": {
    ...elementwiseTypes,
    ...layerTypes,
    ...layoutTypes,
    ...cutTypes,
    ...reduceTypes,
    ...generateTypes,
    ...attentionTypes,
    ...signalTypes,
  },
  "com.microsoft": microsoftTypes,
};

/** Shape arithmetic works on vectors of a few numbers; longer contents are worked out only when they are folded. */
const smallContent = 1024;

const nothing: Facts = { dataType: 0, dims: undefined };

/** What is known of every value of a graph before it runs. */
export type GraphFacts = ReadonlyMap<string, Facts>;

/**
 * Infers types, shapes and the contents of small values, in one walk. Sizes come from inputs and initializers and from what
 * operators do to them; of the sizes that a file notes for its inner values only rank and type are believed, because tools that
 * change the batch size leave them behind.
 * @param given - What inputs are fed in every run.
 */
export function inferFacts(graph: Graph, given?: ReadonlyMap<string, Tensor>): GraphFacts {
  const facts = new Map<string, Facts>();
  const declared = declaredTypes(graph.proto);
  for (const { name } of graph.proto.input) {
    const tensor = given?.get(name);
    const type = declared.get(name) ?? nothing;
    facts.set(name, tensor === undefined ? type : { ...type, dims: tensor.dims, content: contentOf(tensor) });
  }
  for (const { name } of graph.proto.initializer) {
    const type = declared.get(name)!;
    const constant = elementsIn(type) <= smallContent ? graph.constant(name) : undefined;
    facts.set(name, constant === undefined ? type : { ...type, content: contentOf(constant) });
  }
  for (const node of topologicalOrder(graph.nodes)) {
    const op = operandsOf(graph, facts, node);
    const types = inferTypes(op);
    node.output.forEach((name, output) => {
      if (name === "") return;
      const type = merge(types[output], declared.get(name));
      facts.set(name, withContent(op, type, output, smallContent));
    });
  }
  return facts;
}

/** A node with what is known of its inputs. */
export function operandsOf(graph: Graph, facts: GraphFacts, node: NodeProto): Operands {
  return new Operands(
    node,
    graph.opset(),
    node.input.map((name) => facts.get(name)),
  );
}

/** Types of a node's outputs; empty for operators without a rule. */
export function inferTypes(op: Operands): readonly ValueType[] {
  const rules = entryOf(typeRules, canonicalDomain(op.node.domain)) ?? {};
  const types = entryOf(rules, op.node.opType)?.(op) ?? [];
  return types.map(({ dataType, dims }) => ({ dataType, dims: dims?.map(sensible) }));
}

/** Attributes that make no sense give sizes that make none; such a node is left to the engine to refuse. */
function sensible(dim: Dim): Dim {
  return typeof dim !== "number" || (Number.isSafeInteger(dim) && dim >= 0) ? dim : undefined;
}

/** Adds a value's content to its type when it can be worked out within `limit` elements. */
export function withContent(op: Operands, type: ValueType, output: number, limit: number): Facts {
  const dims = staticDims(type.dims);
  const dtype = exactHolder(type.dataType);
  if (dims === undefined || dtype === undefined || canonicalDomain(op.node.domain) !== "") return type;
  const content = contentOfOutput(op, dtype, dims, output, limit);
  return content === undefined ? type : { ...type, content };
}

function merge(inferred: ValueType | undefined, declared: ValueType | undefined): ValueType {
  return {
    dataType: inferred?.dataType || (declared?.dataType ?? 0),
    dims: inferred?.dims ?? declared?.dims?.map((): Dim => undefined),
  };
}

function elementsIn({ dims }: ValueType): number {
  return (staticDims(dims) ?? []).reduce((product, dim) => product * dim, 1);
}
