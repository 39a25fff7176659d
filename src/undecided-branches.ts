import { BitwrightError } from "./errors.js";
import { Graph } from "./onnx/graph.js";
import type { OnnxModel } from "./onnx/model.js";
import { nodeReads } from "./onnx/traverse.js";
import { canonicalDomain } from "./onnx/validate.js";
import type { Feeds } from "./tensor.js";

/** An `If` that stays in the model, with the graph's inputs that decide which branch it takes. */
export interface UndecidedBranch {
  readonly node: string;
  /** Inputs whose values decide: data that holds them constant may settle it. */
  readonly values: readonly string[];
  /** Inputs whose sizes decide; no data settles those that a model leaves open. */
  readonly sizes: readonly string[];
}

/**
 * What decides the `If`s of a cleaned model.
 * @param given - Inputs that are fed the same in every run.
 */
export function undecidedBranches(graph: Graph, given: Feeds): UndecidedBranch[] {
  return graph.nodes
    .filter(({ opType, domain }) => opType === "If" && canonicalDomain(domain) === "")
    .map(({ name, input }) => {
      const { values, sizes } = decidingInputs(graph, input[0]!);
      return { node: name, values: values.filter((value) => !Object.hasOwn(given, value)), sizes };
    });
}

/** What would put a branch in the place of an If. */
export function describeUndecided({ node, values, sizes }: UndecidedBranch): string {
  const decide = [
    ...(values.length === 0
      ? []
      : [`a --data manifest that holds ${values.join(", ")} constant, as in "${values[0]}": { "value": ... }`]),
    ...(sizes.length === 0 ? [] : [`the sizes of ${sizes.join(", ")}, which have to be fixed in the model`]),
  ];
  if (decide.length === 0) return `the If ${node} is not decided by what the data holds constant`;
  return `the If ${node} is decided by ${decide.join(", and by ")}`;
}

/**
 * @param model - Cleaned.
 * @param given - Inputs that are fed the same in every run.
 * @throws BitwrightError `unsupported-op` that says what decides the `If`s which are left.
 */
export function requireDecided(model: OnnxModel, given: Feeds = {}): void {
  const undecided = undecidedBranches(new Graph(model), given);
  if (undecided.length === 0) return;
  throw new BitwrightError("unsupported-op", "the engine runs no branches: one has to take the place of every If", {
    where: `node ${undecided.map(({ node }) => `"${node}"`).join(", ")}`,
    expected: "conditions that are constant, or become so by inputs that the data holds constant",
    received: undecided.map(describeUndecided).join("; "),
    remedy: "Say in the data set what is fed in every run, or export the model without the branch",
  });
}

function decidingInputs(graph: Graph, condition: string): { values: string[]; sizes: string[] } {
  const values = new Set<string>();
  const sizes = new Set<string>();
  const follow = (name: string, into: Set<string>, seen: Set<string>) => {
    if (seen.has(name)) return;
    seen.add(name);
    const producer = graph.producer(name);
    if (producer === undefined) {
      if (graph.isInput(name)) into.add(name);
      return;
    }
    const readsSizes = producer.opType === "Shape" || producer.opType === "Size";
    for (const read of nodeReads(producer)) follow(read, readsSizes ? sizes : into, readsSizes ? seenSizes : seen);
  };
  const seenSizes = new Set<string>();
  follow(condition, values, new Set());
  return { values: [...values], sizes: [...sizes] };
}
