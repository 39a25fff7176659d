import { intsAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Dim, ValueType } from "../value-types.js";
import type { Content } from "./content.js";

/** What is known of a value: its type, and its elements if they, or some of them, are the same in every run. */
export interface Facts extends ValueType {
  readonly content?: Content;
}

/** A node and what is known of its inputs: what the rules of the tables read. */
export class Operands {
  constructor(
    readonly node: NodeProto,
    /** Version of ONNX's own operator set. */
    readonly opset: number,
    readonly inputs: readonly (Facts | undefined)[],
  ) {}

  /** True when an optional input is given. */
  has(port: number): boolean {
    return (this.node.input[port] ?? "") !== "";
  }

  /** TensorProto.DataType of an input; 0 when unknown. */
  type(port = 0): number {
    return this.inputs[port]?.dataType ?? 0;
  }

  dims(port = 0): readonly Dim[] | undefined {
    return this.inputs[port]?.dims;
  }

  /** The elements of an input as dimensions: the names of sizes among them, undefined where unknown. */
  elements(port: number): Dim[] | undefined {
    const content = this.inputs[port]?.content;
    if (content === undefined || content.dims.length > 1) return undefined;
    return Array.from(content.data, (element) => (typeof element === "bigint" ? Number(element) : element));
  }

  /** The elements of an integer input when all are known. */
  integers(port: number): number[] | undefined {
    const elements = this.elements(port);
    return elements?.every((element) => typeof element === "number") ? elements : undefined;
  }

  /**
   * Numbers that later operator sets take as an input and earlier ones as an attribute.
   * @returns "absent" when the node has neither, undefined when they are computed at run time.
   */
  parameters(port: number, attribute: string): number[] | "absent" | undefined {
    if (this.has(port)) return this.integers(port);
    return intsAttribute(this.node, attribute, "absent" as const);
  }
}

/** Types of a node's outputs, as far as they follow from its inputs. */
export type TypeRule = (op: Operands) => readonly ValueType[];

/** A rule that gives the first output's shape; its element type is the first input's. */
export function shaped(rule: (op: Operands) => readonly Dim[] | undefined): TypeRule {
  return (op) => [{ dataType: op.type(), dims: rule(op) }];
}
