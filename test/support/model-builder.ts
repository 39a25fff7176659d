import { create, toBinary } from "@bufbuild/protobuf";
import type { AttributeValue } from "../../src/onnx/attributes.js";
import { dataTypeCode } from "../../src/onnx/data-types.js";
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorShapeProto_DimensionSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../src/onnx/initializer.js";
import { type OnnxModel, readModel } from "../../src/onnx/model.js";
import { makeNode } from "../../src/onnx/node.js";
import type { DataType, Tensor } from "../../src/tensor.js";

/** A dimension: a size, a symbol, or null for one that is not known at all. */
export type Dim = number | string | null;

export interface NodeOptions {
  readonly name?: string;
  readonly domain?: string;
}

/**
 * Writes test models as code:
 * `buildModel(17).input("x", [1, 3]).constant("w", tensor).node("Add", ["x", "w"], ["y"]).output("y").build()`.
 */
export class ModelBuilder {
  readonly proto: ModelProto;
  #names = 0;

  constructor(opset: number, irVersion = 10) {
    this.proto = create(ModelProtoSchema, {
      irVersion: BigInt(irVersion),
      producerName: "bitwright-test",
      graph: create(GraphProtoSchema, { name: "graph" }),
      opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: BigInt(opset) })],
    });
  }

  get graph() {
    return this.proto.graph!;
  }

  input(name: string, dims: readonly Dim[], dtype: DataType = "float32"): this {
    this.graph.input.push(valueInfo(name, dims, dtype));
    return this;
  }

  /** A graph output; without `dims` its shape is left open. */
  output(name: string, dims?: readonly Dim[], dtype: DataType = "float32"): this {
    this.graph.output.push(valueInfo(name, dims, dtype));
    return this;
  }

  valueInfo(name: string, dims: readonly Dim[], dtype: DataType = "float32"): this {
    this.graph.valueInfo.push(valueInfo(name, dims, dtype));
    return this;
  }

  /** An initializer. */
  constant(name: string, tensor: Tensor | TensorProto): this {
    this.graph.initializer.push("$typeName" in tensor ? tensor : makeTensor(name, tensor));
    return this;
  }

  /** A node, named `<opType>_<n>` unless the options name it. */
  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    { name = `${opType}_${this.#names++}`, domain }: NodeOptions = {},
  ): this {
    return this.add(
      makeNode({ opType, name, inputs, outputs, attributes, ...(domain === undefined ? {} : { domain }) }),
    );
  }

  add(node: NodeProto): this {
    this.graph.node.push(node);
    return this;
  }

  opset(domain: string, version: number): this {
    this.proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }));
    return this;
  }

  bytes(): Uint8Array {
    return toBinary(ModelProtoSchema, this.proto);
  }

  /** The model as a reader gets it: through bytes and validation. */
  build(): OnnxModel {
    return readModel(this.bytes());
  }
}

export function buildModel(opset: number, irVersion?: number): ModelBuilder {
  return new ModelBuilder(opset, irVersion);
}

export function valueInfo(name: string, dims: readonly Dim[] | undefined, dtype: DataType): ValueInfoProto {
  const dim = dims?.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      ...(typeof size === "number" ? { value: { case: "dimValue" as const, value: BigInt(size) } } : {}),
      ...(typeof size === "string" ? { value: { case: "dimParam" as const, value: size } } : {}),
    }),
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: "tensorType",
        value: { elemType: dataTypeCode(dtype), ...(dim === undefined ? {} : { shape: { dim } }) },
      },
    },
  });
}
