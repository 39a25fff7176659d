import { BitwrightError, type ErrorDetails } from "../errors.js";
import { minimumInputs } from "./arity.js";
import type { GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto } from "./generated/onnx_pb.js";
import { topologicalOrder } from "./order.js";
import { checkTensor } from "./tensor-proto.js";
import { describeNode, nodeReads, subgraphs } from "./traverse.js";

/**
 * Checks what every later stage takes for granted: a graph whose names resolve, are defined once and without cycles, operator
 * sets for all domains, and stored tensors as long as their shapes say. What operators mean is not checked here.
 * @returns the model's graph.
 * @throws BitwrightError `invalid-model` at the first fault.
 */
export function validateModel(proto: ModelProto): GraphProto {
  if (proto.graph === undefined) {
    throw invalid("the model has no graph", {
      expected: "an ONNX ModelProto",
      received: "a message without field 7",
      remedy: "The file may hold another kind of protocol buffer, such as a bare tensor or graph",
    });
  }
  if (proto.irVersion < 1n)
    throw invalid("the model has no IR version", { expected: "1 or more", received: `${proto.irVersion}` });
  checkGraph(proto.graph, new Set(), checkOpsets(proto), "graph");
  return proto.graph;
}

/** Operator domains in use and their versions; 0 for those that only the model's functions belong to. */
type Opsets = ReadonlyMap<string, number>;

function checkOpsets(proto: ModelProto): Opsets {
  const domains = new Map<string, number>();
  for (const { domain, version } of proto.opsetImport) {
    const name = canonicalDomain(domain);
    if (domains.has(name)) throw invalid(`operator set "${name}" is imported twice`);
    if (version < 1n || version > 2n ** 31n) {
      throw invalid(`operator set "${name}" has no usable version`, { expected: "1 or more", received: `${version}` });
    }
    domains.set(name, Number(version));
  }
  for (const { domain } of proto.functions) {
    const name = canonicalDomain(domain);
    if (!domains.has(name)) domains.set(name, 0);
  }
  return domains;
}

/** The name of an operator domain: "" for ONNX's own, which files also call "ai.onnx". */
export function canonicalDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

function checkGraph(graph: GraphProto, outer: ReadonlySet<string>, domains: Opsets, where: string): void {
  const defined = new Set<string>();
  const define = (name: string, what: string) => {
    if (name === "") throw invalid(`${what} has no name`, { where });
    if (defined.has(name)) {
      throw invalid(`the value "${name}" is defined twice`, {
        where,
        expected: "one definition of each value",
        received: `another one as ${what}`,
      });
    }
    defined.add(name);
  };

  for (const input of graph.input) {
    define(input.name, "graph input");
    checkType(input, `graph input "${input.name}"`);
  }
  const inputs = new Set(defined);
  const initialized = new Set<string>();
  const initialize = (name: string, what: string) => {
    if (initialized.has(name))
      throw invalid(`the value "${name}" is defined twice`, { where, received: `another one as ${what}` });
    initialized.add(name);
    // An initializer that is also an input is that input's default value.
    if (!inputs.has(name)) define(name, what);
  };
  for (const tensor of graph.initializer) {
    checkTensor(tensor, `initializer "${tensor.name}"`);
    initialize(tensor.name, "initializer");
  }
  for (const { values } of graph.sparseInitializer) initialize(values?.name ?? "", "sparse initializer");
  for (const node of graph.node) {
    checkNode(node, domains);
    for (const name of node.output) if (name !== "") define(name, `output of ${describeNode(node)}`);
  }
  for (const info of graph.valueInfo) checkShape(info.type, `value "${info.name}"`);
  for (const output of graph.output) checkShape(output.type, `graph output "${output.name}"`);

  const visible = new Set([...outer, ...defined]);
  for (const node of graph.node) {
    for (const name of nodeReads(node)) {
      if (visible.has(name)) continue;
      throw invalid(`it reads "${name}", which nothing defines`, {
        where: describeNode(node),
        expected: "a graph input, an initializer or another node's output",
        received: "an unknown name",
      });
    }
  }
  for (const { name } of graph.output) {
    if (visible.has(name)) continue;
    throw invalid(`the graph output "${name}" is computed by nothing`, { where });
  }
  topologicalOrder(graph.node);
  for (const node of graph.node) {
    for (const inner of subgraphs(node)) checkGraph(inner, visible, domains, `subgraph of ${describeNode(node)}`);
  }
}

function checkNode(node: NodeProto, domains: Opsets): void {
  const where = describeNode(node);
  if (node.opType === "") throw invalid("it has no operator type", { where });
  const domain = canonicalDomain(node.domain);
  if (!domains.has(domain)) {
    throw invalid(`it belongs to the operator domain "${domain}", which the model does not import`, {
      where,
      expected: "an opset_import entry for each domain in use",
      received: [...domains.keys()].map((name) => JSON.stringify(name)).join(", ") || "none",
    });
  }
  if (domain === "") checkArity(node, domains.get(domain)!, where);
  const names = new Set<string>();
  for (const attribute of node.attribute) {
    if (attribute.name === "" || names.has(attribute.name)) {
      throw invalid(`its attribute "${attribute.name}" is unnamed or given twice`, { where });
    }
    names.add(attribute.name);
    if (attribute.t !== undefined) checkTensor(attribute.t, `attribute "${attribute.name}" of ${where}`);
    for (const tensor of attribute.tensors) checkTensor(tensor, `attribute "${attribute.name}" of ${where}`);
  }
}

function checkArity(node: NodeProto, opset: number, where: string): void {
  if (node.output.length === 0) throw invalid("it has no output", { where });
  const required = minimumInputs(node.opType, opset);
  const omitted = node.input.indexOf("");
  const leading = omitted < 0 ? node.input.length : omitted;
  if (leading >= required) return;
  throw invalid("it lacks an input", { where, expected: `${required} inputs at least`, received: `${leading}` });
}

function checkType(info: ValueInfoProto, where: string): void {
  if (info.type?.value.case === undefined) {
    throw invalid("it has no type", { where, expected: "an element type and, if known, a shape", received: "none" });
  }
  checkShape(info.type, where);
}

function checkShape(type: TypeProto | undefined, where: string): void {
  if (type?.value.case !== "tensorType") return;
  let elements = 1n;
  for (const { value } of type.value.value.shape?.dim ?? []) {
    if (value.case !== "dimValue" || value.value < 0n) continue;
    elements *= value.value;
    if (elements > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw invalid("its shape is larger than any memory", { where, received: `${elements} elements` });
    }
  }
}

function invalid(summary: string, details: ErrorDetails = {}): BitwrightError {
  return new BitwrightError("invalid-model", summary, details);
}
