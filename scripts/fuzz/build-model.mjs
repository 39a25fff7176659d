// ONNX models from a few lines of code.

import { create, toBinary } from "@bufbuild/protobuf";
import { dataTypeCode } from "../../dist/onnx/data-types.js";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from "../../dist/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../dist/onnx/initializer.js";
import { makeNode } from "../../dist/onnx/node.js";

/** @typedef {import("../../dist/index.js").Tensor} Tensor */
/** @typedef {import("../../dist/onnx/attributes.js").AttributeValue} AttributeValue */
/** @typedef {[opType: string, inputs: string[], outputs: string[], attributes?: Record<string, AttributeValue>]} Node */

/**
 * @typedef {object} ModelParts
 * @property {number} opset
 * @property {Record<string, { dims: (number | string)[], dtype?: string }>} inputs
 * @property {Record<string, Tensor>} constants
 * @property {Node[]} nodes
 * @property {string[]} outputs float values, their shapes left open
 */

/**
 * @param {ModelParts} parts
 * @returns {Uint8Array} the file
 */
export function buildModel({ opset, inputs, constants, nodes, outputs }) {
  const graph = create(GraphProtoSchema, {
    name: "graph",
    input: Object.entries(inputs).map(([name, { dims, dtype }]) => valueInfo(name, dtype ?? "float32", dims)),
    initializer: Object.entries(constants).map(([name, tensor]) => makeTensor(name, tensor)),
    node: nodes.map(([opType, inputs, outputs, attributes], i) =>
      makeNode({ opType, name: `${opType}_${i}`, inputs, outputs, attributes }),
    ),
    output: outputs.map((name) => valueInfo(name, "float32")),
  });
  const opsetImport = [create(OperatorSetIdProtoSchema, { domain: "", version: BigInt(opset) })];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport, graph }));
}

/**
 * @param {string} name
 * @param {string} dtype
 * @param {(number | string)[]} [dims] a string names a size that is open
 */
export function valueInfo(name, dtype, dims) {
  const dim = dims?.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === "number" ? { case: "dimValue", value: BigInt(size) } : { case: "dimParam", value: size },
    }),
  );
  const tensorType = { elemType: dataTypeCode(dtype), ...(dim && { shape: { dim } }) };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value: tensorType } } });
}

/** @type {(dims: number[], values: number[]) => Tensor} */
export function int64(dims, values) {
  return { dtype: "int64", dims, data: BigInt64Array.from(values, BigInt) };
}

/**
 * Values that look random, the same in every run.
 * @param {number[]} dims
 * @param {number} [scale]
 * @returns {Tensor}
 */
export function floats(dims, scale = 0.5) {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: count }, (_, i) => scale * Math.sin(1 + 78.233 * i + 0.1 * i * i));
  return { dtype: "float32", dims, data };
}
