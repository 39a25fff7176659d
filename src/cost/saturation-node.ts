import { create, toBinary } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import type { Layout, WeightLayout } from "../export/layout.js";
import { openSession } from "../export/session-node.js";
import { codeLimit } from "../export/weight-quantizer.js";
import { GraphProtoSchema, ModelProtoSchema, OperatorSetIdProtoSchema } from "../onnx/generated/onnx_pb.js";
import { makeTensor } from "../onnx/initializer.js";
import { makeNode } from "../onnx/node.js";
import type { Tensor } from "../tensor.js";
import { tensorInfo } from "./subgraph.js";

/** Enough products that every kernel adds them in pairs. */
const depth = 64;

/**
 * Whether this machine's integer kernels saturate: x86 processors with AVX2 and without VNNI add pairs of products in 16 bits, which full 8-bit weights
 * overflow. Found by multiplying the largest codes in onnxruntime; false where that is not installed.
 */
export async function saturates(): Promise<boolean> {
  const largest = { activation: 255, weight: 127 };
  const activations: Tensor = {
    dtype: "uint8",
    dims: [1, depth],
    data: new Uint8Array(depth).fill(largest.activation),
  };
  try {
    const session = await openSession(product(activations, largest.weight));
    try {
      const { y } = await session.run({ x: activations });
      return Number(y!.data[0]) !== depth * largest.activation * largest.weight;
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof BitwrightError && error.code === "runtime-missing") return false;
    throw error;
  }
}

/** Whether this machine's integer kernels saturate with weights that a layout has them multiply. */
export async function saturatesWith({ weights }: Pick<Layout, "weights">): Promise<boolean> {
  return weights.some(exceedsReducedRange) && (await saturates());
}

function exceedsReducedRange({ kernel, storage, quantizer }: WeightLayout): boolean {
  return kernel === "integer" && storage === "int8" && "qmax" in quantizer && quantizer.qmax > codeLimit("int8", true);
}

/** Activations by int8 weights that are all the same. */
function product(activations: Tensor, weight: number): Uint8Array {
  const weights = { dtype: "int8", dims: [depth, depth], data: new Int8Array(depth * depth).fill(weight) } as const;
  const sums = { dtype: "int32", dims: [1, depth], data: new Int32Array(depth) } as const;
  const graph = create(GraphProtoSchema, {
    name: "product",
    node: [makeNode({ opType: "MatMulInteger", name: "product", inputs: ["x", "w"], outputs: ["y"] })],
    initializer: [makeTensor("w", weights)],
    input: [tensorInfo("x", activations)],
    output: [tensorInfo("y", sums)],
  });
  const opsetImport = [create(OperatorSetIdProtoSchema, { version: 13n })];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph }));
}
