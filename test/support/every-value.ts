import { create } from "@bufbuild/protobuf";
import { cloneMessage } from "../../src/onnx/clone.js";
import { ValueInfoProtoSchema } from "../../src/onnx/generated/onnx_pb.js";
import { type OnnxModel, writeModel } from "../../src/onnx/model.js";
import type { Feeds, Tensor } from "../../src/tensor.js";
import { runOnnx } from "./onnxruntime.js";

/** The values of a model's inputs and of all that its nodes compute, in onnxruntime as the nodes stand in the file. */
export async function everyValue(model: OnnxModel, feeds: Feeds): Promise<Map<string, Tensor>> {
  const proto = cloneMessage(model.proto);
  const graph = proto.graph!;
  const known = new Set(graph.output.map(({ name }) => name));
  for (const name of graph.node.flatMap(({ output }) => output)) {
    if (name !== "" && !known.has(name)) graph.output.push(create(ValueInfoProtoSchema, { name }));
  }
  return new Map([...Object.entries(feeds), ...Object.entries(await runOnnx(writeModel({ proto, graph }), feeds))]);
}
