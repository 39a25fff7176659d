import type { Tensor } from "../../tensor.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Graph } from "../graph.js";
import { type GraphFacts, operandsOf } from "../infer/facts.js";
import type { Operands } from "../infer/operands.js";
import { canonicalDomain } from "../validate.js";

/** One thing that the clean-up did, for the user to read. */
export interface Change {
  /** Name of the pass. */
  readonly pass: string;
  /** Names of the nodes that were removed or changed. */
  readonly nodes: readonly string[];
  /** One line that says what happened to them and why the values stay the same. */
  readonly explanation: string;
  /** What the model no longer does, where that is so: it then fails instead of giving another answer. */
  readonly restriction?: string;
}

/** A change as a pass reports it. */
export type Note = Omit<Change, "pass">;

/** What a pass works on. */
export interface CleanContext {
  readonly graph: Graph;
  /**
   * Types, shapes and contents of the values as the pass found them. They stay true while it edits, because edits keep the value
   * behind each name; values that it adds are not in it.
   */
  readonly facts: GraphFacts;
  /** Inputs that are fed the same in every run. */
  readonly given: ReadonlyMap<string, Tensor>;
}

/**
 * A step of the clean-up that changes no output of the model beyond float rounding. It may change and remove the node it visits and add others;
 * nodes that lose their last reader are left to `dead-code`.
 */
export interface Pass {
  readonly name: string;
  readonly run: (context: CleanContext) => Note[];
}

/**
 * A pass that looks at every node of some of ONNX's own operators; each visit tells what it changed, if anything. Nodes that are
 * read by more than their first output (masks, statistics, indices) are passed over.
 */
export function nodePass(
  name: string,
  opTypes: readonly string[],
  visit: (node: NodeProto, context: CleanContext) => string | Note | undefined,
): Pass {
  return {
    name,
    run: (context) => {
      const notes: Note[] = [];
      for (const node of [...context.graph.nodes]) {
        if (!opTypes.includes(node.opType) || canonicalDomain(node.domain) !== "") continue;
        if (!isPlain(node, context.graph)) continue;
        const result = visit(node, context);
        if (typeof result === "string") notes.push({ nodes: [node.name], explanation: result });
        else if (result !== undefined) notes.push(result);
      }
      return notes;
    },
  };
}

function isPlain(node: NodeProto, graph: Graph): boolean {
  const [first = "", ...others] = node.output;
  return first !== "" && others.every((name) => graph.uses(name).length === 0 && !graph.isOutput(name));
}

/** A node of the graph with what is known of its inputs. */
export function operands(node: NodeProto, { graph, facts }: CleanContext): Operands {
  return operandsOf(graph, facts, node);
}
