import { create } from "@bufbuild/protobuf";
import { type AttributeValue, makeAttribute } from "./attributes.js";
import { type NodeProto, NodeProtoSchema } from "./generated/onnx_pb.js";

export interface NodeInit {
  readonly opType: string;
  /** Operator domain; ONNX's own when absent. */
  readonly domain?: string;
  readonly name: string;
  /** Value names; "" leaves an optional input or output out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

/** Makes a node that belongs to no graph yet. */
export function makeNode({ opType, domain, name, inputs, outputs, attributes = {} }: NodeInit): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) => makeAttribute(key, value)),
    ...(domain === undefined ? {} : { domain }),
  });
}
