import type { Tensor } from "../../tensor.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { ValueType } from "../value-types.js";

/** What a conversion may ask and add. */
export interface UpgradeContext {
  /** A stored tensor's values, of Constant nodes and subgraphs too; undefined for computed values. */
  constant(name: string): Tensor | undefined;
  /** What is known of a value of the main graph. */
  type(name: string): ValueType | undefined;
  /** Whether anything reads a value or it leaves the graph. */
  isRead(name: string): boolean;
  /** Stores a tensor beside the node and returns its name. */
  store(base: string, tensor: Tensor): string;
  uniqueName(base: string): string;
}

/** Why a node cannot be written for the later operator set with the same meaning. */
export interface Refusal {
  readonly refused: string;
}

/**
 * How an operator changed in a version. `convert` rewrites a node in place, and returns nothing when the node means the same as it
 * stands, `true` when it changed it, nodes to put in its place, or why it cannot.
 */
export interface Upgrade {
  readonly opTypes: readonly string[];
  readonly since: number;
  readonly convert: (node: NodeProto, context: UpgradeContext) => true | readonly NodeProto[] | Refusal | undefined;
}
