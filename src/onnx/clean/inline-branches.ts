import type { Tensor } from "../../tensor.js";
import { findAttribute } from "../attributes.js";
import { TensorProto_DataType as Code, type GraphProto, type NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { inferFacts } from "../infer/facts.js";
import { int64Vector } from "../initializer.js";
import { makeNode } from "../node.js";
import { definedNames, everyNode, nodeReads, renameCaptured, subgraphs } from "../traverse.js";
import { canonicalDomain } from "../validate.js";
import { declaredTypes } from "../value-types.js";
import type { CleanContext, Note, Pass } from "./pass.js";

/**
 * Puts the branch that an `If` takes in its place. The condition is a constant; or it is one as long as inputs are fed what the data
 * holds constant, and then the result must not answer anything else: it gets a guard, which fails a run in which the condition is another.
 */
export const inlineBranches: Pass = {
  name: "inline-branches",
  run: (context) => {
    const notes: Note[] = [];
    for (const node of [...context.graph.nodes]) {
      if (node.opType !== "If" || canonicalDomain(node.domain) !== "") continue;
      const note = inline(node, context);
      if (note !== undefined) notes.push(note);
    }
    return notes;
  },
};

function inline(node: NodeProto, context: CleanContext): Note | undefined {
  const { graph, given } = context;
  const condition = node.input[0]!;
  const constant = context.facts.get(condition)?.content?.data[0] ?? graph.constant(condition)?.data[0];
  const taken = constant ?? inferFacts(graph, given).get(condition)?.content?.data[0];
  if (taken === undefined) return undefined;
  const attribute = taken ? "then_branch" : "else_branch";
  const branch = findAttribute(node, attribute)?.g;
  if (branch === undefined || branch.sparseInitializer.length > 0 || branch.output.length !== node.output.length)
    return undefined;
  const guard = constant === undefined ? guardOf(node, branch, context, Boolean(taken)) : [];
  if (guard === undefined) return undefined;
  graph.remove(node);
  insertBranch(graph, node, branch, guard.at(-1)?.output[0]);
  for (const inserted of guard) graph.insert(inserted);
  const nodes = [node.name, ...guard.slice(-1).map(({ name }) => name)];
  const what = `put its ${attribute} in its place`;
  if (constant !== undefined) return { nodes, explanation: `${what}: its condition is constant` };
  const held = sourcesOf(graph, condition, given).join(", ");
  return {
    nodes,
    explanation: `${what}: its condition is ${Boolean(taken)} with ${held}, which the data holds constant`,
    restriction: `runs with ${held} only, which the data holds constant; with a value that takes another branch it fails`,
  };
}

/** Moves the nodes and initializers of a branch into the graph. `guard` is a scalar zero to be added to the first output. */
function insertBranch(graph: Graph, node: NodeProto, branch: GraphProto, guard: string | undefined): void {
  const taken = namesOutside(graph, branch);
  const results = new Map<string, string>();
  const produced = new Set(branch.node.flatMap(({ output }) => output));
  const copies: [from: string, to: string][] = [];
  for (const [i, to] of node.output.entries()) {
    const from = branch.output[i]!.name;
    if (to === "") continue;
    // A value keeps one name: it can take over that of the first output it is.
    if (produced.has(from) && !results.has(from) && (guard === undefined || i > 0)) results.set(from, to);
    else copies.push([from, to]);
  }
  const renamed = new Map<string, string>();
  for (const name of definedNames(branch)) {
    const to = results.get(name) ?? (taken.has(name) ? graph.uniqueName(name) : name);
    if (to !== name) renamed.set(name, to);
  }
  const named = (name: string) => renamed.get(name) ?? name;
  // New names first: one of them may make room for the name of an output.
  const inOrder = [...renamed].sort(([a], [b]) => Number(results.has(a)) - Number(results.has(b)));
  for (const tensor of branch.initializer) graph.setInitializer(named(tensor.name), tensor);
  for (const inner of branch.node) {
    inner.input = inner.input.map(named);
    inner.output = inner.output.map(named);
    for (const deeper of subgraphs(inner)) for (const [from, to] of inOrder) renameCaptured(deeper, from, to);
    graph.insert(inner);
  }
  for (const info of branch.valueInfo) {
    if (!produced.has(info.name)) continue;
    info.name = named(info.name);
    graph.proto.valueInfo.push(info);
  }
  for (const [from, to] of copies) {
    const guarded = guard !== undefined && to === node.output[0];
    const inputs = guarded ? [named(from), guard] : [named(from)];
    graph.insert(
      makeNode({
        opType: guarded ? "Add" : "Identity",
        name: graph.uniqueName(`${node.name}_${to}`),
        inputs,
        outputs: [to],
      }),
    );
  }
}

/** Names that are defined anywhere but in the branch: by the graph, or inside other subgraphs, where they would come to hide it. */
function namesOutside(graph: Graph, branch: GraphProto): Set<string> {
  const names = definedNames(graph.proto);
  for (const node of everyNode(graph.proto)) {
    for (const inner of subgraphs(node)) if (inner !== branch) for (const name of definedNames(inner)) names.add(name);
  }
  return names;
}

const zeros: Partial<Record<Code, Tensor>> = {
  [Code.FLOAT]: { dtype: "float32", dims: [1], data: Float32Array.of(0) },
  [Code.INT64]: { dtype: "int64", dims: [1], data: BigInt64Array.of(0n) },
  [Code.INT32]: { dtype: "int32", dims: [1], data: Int32Array.of(0) },
};

/**
 * Nodes whose last output is a zero that can be read as long as the condition is what it was taken to be: reading the element behind
 * the only one is an error that names the node. Undefined where no zero can be added to the first output.
 */
function guardOf(
  node: NodeProto,
  branch: GraphProto,
  { graph, given }: CleanContext,
  taken: boolean,
): NodeProto[] | undefined {
  const type = declaredTypes(graph.proto).get(node.output[0]!) ?? declaredTypes(branch).get(branch.output[0]!.name);
  const zero = zeros[(type?.dataType ?? 0) as Code];
  if (node.output[0] === "" || zero === undefined) return undefined;
  const nodes: NodeProto[] = [];
  const add = (opType: string, base: string, inputs: readonly string[], to?: Code): string => {
    const name = graph.uniqueName(base);
    nodes.push(
      makeNode({ opType, name, inputs, outputs: [name], ...(to !== undefined && { attributes: { to: BigInt(to) } }) }),
    );
    return name;
  };
  const condition = node.input[0]!;
  const scalar = add("Reshape", `${condition}_scalar`, [
    condition,
    graph.addInitializer(`${condition}_scalar_shape`, int64Vector([])),
  ]);
  const changed = taken ? add("Not", `${condition}_changed`, [scalar]) : scalar;
  const index = add("Cast", `${condition}_index`, [changed], Code.INT64);
  const sources = sourcesOf(graph, condition, given);
  const name = sources.map((source) => source.replace(" = ", "_must_be_")).join("_and_");
  add("Gather", name, [graph.addInitializer(`${condition}_zero`, zero), index]);
  return nodes;
}

/** The given inputs that a value depends on, as `name = value`. */
function sourcesOf(graph: Graph, value: string, given: ReadonlyMap<string, Tensor>): string[] {
  const found = new Map<string, string>();
  const seen = new Set<string>();
  const pending = [value];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const tensor = given.get(name);
    if (tensor !== undefined)
      found.set(name, `${name} = ${tensor.data.length === 1 ? tensor.data[0] : "what_the_data_holds"}`);
    const producer = graph.producer(name);
    if (producer !== undefined) pending.push(...nodeReads(producer));
  }
  return [...found.values()];
}
