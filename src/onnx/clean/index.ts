import { demand } from "../../given.js";
import type { Tensor } from "../../tensor.js";
import { cloneMessage } from "../clone.js";
import { Graph } from "../graph.js";
import { inferFacts } from "../infer/facts.js";
import type { OnnxModel } from "../model.js";
import { constantNodes } from "./constant-nodes.js";
import { deadCode } from "./dead-code.js";
import { defaultInputs } from "./default-inputs.js";
import { foldBatchNormalization } from "./fold-batch-normalization.js";
import { foldConstants } from "./fold-constants.js";
import { foldLeadingBatchNormalization } from "./fold-leading-batch-normalization.js";
import { foldPads } from "./fold-pads.js";
import { globalAveragePool } from "./global-average-pool.js";
import { inlineBranches } from "./inline-branches.js";
import { mergeActivations } from "./merge-activations.js";
import { mergeTransposes } from "./merge-transposes.js";
import { noOps } from "./no-ops.js";
import { nodeNames } from "./node-names.js";
import type { Change, Pass } from "./pass.js";
import { dropStaleTypes } from "./stale-types.js";
import { staticReshape } from "./static-reshape.js";
import { unfuseProducts } from "./unfuse-products.js";
import { widenHalves } from "./widen-halves.js";

export type { Change, Pass } from "./pass.js";

/** The passes, in the order in which each round runs them. */
export const cleanPasses: readonly Pass[] = [
  nodeNames,
  defaultInputs,
  constantNodes,
  widenHalves,
  unfuseProducts,
  foldConstants,
  inlineBranches,
  staticReshape,
  noOps,
  mergeTransposes,
  foldPads,
  foldBatchNormalization,
  foldLeadingBatchNormalization,
  mergeActivations,
  globalAveragePool,
  deadCode,
];

export interface CleanOptions {
  /** Default: all. */
  readonly passes?: readonly Pass[];
  /** Inputs that are fed the same in every run. Only what an `If` takes is decided by them, and the result says no to other values. */
  readonly given?: Readonly<Record<string, Tensor>> | undefined;
}

export interface CleanResult {
  readonly model: OnnxModel;
  /** What was done, in order; empty for a model that was clean. */
  readonly changes: readonly Change[];
}

/**
 * Cleans a model up without changing its values beyond float rounding: what is constant is computed, what does nothing is removed,
 * and normalization, padding and activations go into the layers that engines run them in. In the result every node has a unique
 * name, nodes are in topological order and constants are initializers. The given model stays as it is.
 */
export function cleanModel(model: OnnxModel, options: CleanOptions = {}): CleanResult {
  demand("model", model);
  demand("options", options);
  const { passes = cleanPasses } = options;
  const given = new Map(Object.entries(options.given ?? {}));
  const proto = cloneMessage(model.proto);
  const cleaned: OnnxModel = { proto, graph: proto.graph! };
  // Before IR version 4 every initializer had to be a graph input, which a caller may override.
  if (proto.irVersion < 4n) proto.irVersion = 4n;
  const graph = new Graph(cleaned);
  let facts = { revision: graph.revision, values: inferFacts(graph) };
  const changes: Change[] = [];
  for (let found = true; found; ) {
    found = false;
    for (const { name: pass, run } of passes) {
      if (facts.revision !== graph.revision) facts = { revision: graph.revision, values: inferFacts(graph) };
      const notes = run({ graph, facts: facts.values, given });
      found ||= notes.length > 0;
      for (const note of notes) changes.push({ pass, ...note });
    }
  }
  graph.sort();
  dropStaleTypes(cleaned.graph);
  return { model: cleaned, changes };
}
