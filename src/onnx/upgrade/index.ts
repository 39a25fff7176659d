import { BitwrightError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Change } from "../clean/pass.js";
import { cloneMessage } from "../clone.js";
import type { GraphProto, NodeProto, TensorProto } from "../generated/onnx_pb.js";
import { Graph } from "../graph.js";
import { inferFacts } from "../infer/facts.js";
import { makeTensor, readExactTensor } from "../initializer.js";
import type { OnnxModel } from "../model.js";
import { definedNames, describeNode, everyNode, subgraphs } from "../traverse.js";
import { canonicalDomain } from "../validate.js";
import { attributesToInputs } from "./attributes-to-inputs.js";
import { renewed } from "./renewed.js";
import { resize } from "./resize.js";
import { softmax } from "./softmax.js";
import type { Upgrade, UpgradeContext } from "./upgrade.js";

/** The changes of ONNX's own operators from set 8 to 21 that alter what a node says; all others only admit more types. */
const upgrades: readonly Upgrade[] = [...attributesToInputs, ...resize, ...softmax, ...renewed].sort(
  (a, b) => a.since - b.since,
);

/** Operator sets this module knows the changes of. Before the first one, operators broadcast by attributes. */
const [oldest, newest] = [7, 21];

export interface UpgradeResult {
  readonly model: OnnxModel;
  readonly changes: readonly Change[];
}

/**
 * Writes a model for a later version of ONNX's operator set, with the same meaning. A model of that version or a later one comes
 * back as it is. The given model stays as it is.
 * @throws BitwrightError `unsupported-op` that names every node which the later version cannot express, or which is older than 7.
 */
export function upgradeOpset(model: OnnxModel, target = newest): UpgradeResult {
  if (!Number.isInteger(target) || target < oldest || target > newest) {
    throw new BitwrightError("invalid-option", "the operator set to upgrade to is not known", {
      expected: `${oldest} to ${newest}`,
      received: `${target}`,
    });
  }
  const from = new Graph(model).opset();
  if (from >= target || from === 0) return { model, changes: [] };
  refuseUnknown(model, from);

  const proto = cloneMessage(model.proto);
  const upgraded: OnnxModel = { proto, graph: proto.graph! };
  const changes: Change[] = [];
  const refusals: string[] = [];
  const due = upgrades.filter(({ since }) => since > from && since <= target);
  const shared = sharedContext(upgraded);
  for (const graph of everyGraph(upgraded.graph)) {
    graph.node = graph.node.flatMap((node) => {
      const result = convert(node, due, { ...shared, store: storeIn(graph, shared.uniqueName) });
      if (Array.isArray(result)) {
        changes.push({
          pass: "upgrade-opset",
          nodes: result.map(({ name }) => name),
          explanation: `rewrote ${node.opType}`,
        });
        return result;
      }
      if (result !== undefined) refusals.push(`${describeNode(node)}: ${result}`);
      return [node];
    });
  }
  if (refusals.length > 0) {
    throw new BitwrightError(
      "unsupported-op",
      `operator set ${target} cannot express ${refusals.length} nodes as they are`,
      {
        received: refusals.join("; "),
        remedy: `Export the model for operator set ${target} from where it was trained`,
      },
    );
  }
  for (const set of proto.opsetImport) if (canonicalDomain(set.domain) === "") set.version = BigInt(target);
  const ir = irVersionFor(target);
  if (proto.irVersion < ir) proto.irVersion = ir;
  changes.push({ pass: "upgrade-opset", nodes: [], explanation: `operator set ${from} to ${target}` });
  return { model: upgraded, changes };
}

/** The IR version that a release of ONNX with this operator set writes. */
function irVersionFor(opset: number): bigint {
  if (opset >= 21) return 10n;
  if (opset >= 19) return 9n;
  return opset >= 15 ? 8n : 7n;
}

function refuseUnknown({ proto }: OnnxModel, from: number): void {
  if (from < oldest) {
    throw new BitwrightError("unsupported-op", "the model's operator set is too old", {
      expected: `${oldest} or later`,
      received: `${from}`,
      remedy: "Export the model again for a later operator set",
    });
  }
  if (proto.functions.length > 0) {
    throw new BitwrightError("unsupported-op", "the model's own functions cannot be written for a later operator set", {
      received: proto.functions.map(({ name }) => `"${name}"`).join(", "),
      remedy: "Inline the functions, or export the model without them",
    });
  }
}

/** Applies the changes of a node's operator in order: the nodes it became, why it cannot, or undefined when it stays the same. */
function convert(node: NodeProto, due: readonly Upgrade[], context: UpgradeContext): NodeProto[] | string | undefined {
  if (canonicalDomain(node.domain) !== "") return undefined;
  let changed: NodeProto[] | undefined;
  for (const upgrade of due) {
    // By the operator's present name: an Upsample goes on as a Resize.
    if (!upgrade.opTypes.includes(node.opType)) continue;
    const result = upgrade.convert(node, context);
    if (result === undefined) continue;
    if (typeof result === "object" && "refused" in result) return result.refused;
    changed = result === true ? [node] : [...result];
  }
  return changed;
}

function sharedContext(model: OnnxModel): Omit<UpgradeContext, "store"> {
  const graph = new Graph(model);
  const facts = inferFacts(graph);
  const stored = new Map<string, TensorProto>();
  const read = new Set<string>();
  for (const inner of everyGraph(model.graph)) {
    const inputs = new Set(inner.input.map(({ name }) => name));
    for (const tensor of inner.initializer) if (!inputs.has(tensor.name)) stored.set(tensor.name, tensor);
    for (const { name } of inner.output) read.add(name);
  }
  for (const node of everyNode(model.graph)) {
    for (const name of node.input) read.add(name);
    const value = node.opType === "Constant" ? node.attribute.find(({ name }) => name === "value")?.t : undefined;
    if (value !== undefined) stored.set(node.output[0]!, value);
  }
  const local = definedNames(model.graph);
  return {
    constant: (name) => {
      const tensor = stored.get(name);
      return tensor && readExactTensor(tensor);
    },
    type: (name) => (local.has(name) ? facts.get(name) : undefined),
    isRead: (name) => read.has(name),
    uniqueName: (base) => graph.uniqueName(base),
  };
}

function storeIn(graph: GraphProto, uniqueName: (base: string) => string): UpgradeContext["store"] {
  return (base: string, tensor: Tensor) => {
    const name = uniqueName(base);
    graph.initializer.push(makeTensor(name, tensor));
    return name;
  };
}

function* everyGraph(graph: GraphProto): Generator<GraphProto> {
  yield graph;
  for (const node of graph.node) for (const inner of subgraphs(node)) yield* everyGraph(inner);
}
