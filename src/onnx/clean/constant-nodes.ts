import type { Tensor } from "../../tensor.js";
import { findAttribute } from "../attributes.js";
import type { NodeProto, TensorProto } from "../generated/onnx_pb.js";
import { int64Vector } from "../initializer.js";
import { nodePass } from "./pass.js";

/** Turns Constant nodes into initializers, where every later step looks for constants. */
export const constantNodes = nodePass("constant-nodes", ["Constant"], (node, { graph }) => {
  const name = node.output[0]!;
  const value = constantValue(node);
  if (value === undefined || graph.isOutput(name)) return undefined;
  graph.remove(node);
  graph.setInitializer(name, value);
  return "stored as an initializer";
});

function constantValue(node: NodeProto): Tensor | TensorProto | undefined {
  const tensor = findAttribute(node, "value")?.t;
  if (tensor !== undefined) return tensor;
  const number = findAttribute(node, "value_float");
  if (number !== undefined) return { dtype: "float32", dims: [], data: Float32Array.of(number.f) };
  const numbers = findAttribute(node, "value_floats")?.floats;
  if (numbers !== undefined) return { dtype: "float32", dims: [numbers.length], data: Float32Array.from(numbers) };
  const integer = findAttribute(node, "value_int");
  if (integer !== undefined) return { dtype: "int64", dims: [], data: BigInt64Array.of(integer.i) };
  const integers = findAttribute(node, "value_ints")?.ints;
  return integers === undefined ? undefined : int64Vector(integers);
}
