import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type NodeProto,
} from "../../src/onnx/generated/onnx_pb.js";
import { makeNode } from "../../src/onnx/node.js";
import { valueInfo } from "./model-builder.js";

/** An If node whose branches give the value `thenReads` negated and the value `elseReads` as absolute value. */
export function ifNode(condition: string, thenReads: string, elseReads: string, output: string): NodeProto {
  const node = makeNode({ opType: "If", name: `if_${output}`, inputs: [condition], outputs: [output] });
  const branches = { then_branch: ["Neg", thenReads], else_branch: ["Abs", elseReads] } as const;
  for (const [name, [opType, read]] of Object.entries(branches)) {
    const inner = `${output}_${name}`;
    const g = create(GraphProtoSchema, {
      name,
      node: [makeNode({ opType, name: inner, inputs: [read], outputs: [inner] })],
      output: [valueInfo(inner, undefined, "float32")],
    });
    node.attribute.push(create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g }));
  }
  return node;
}
