import type { GraphProto, TypeProto } from "./generated/onnx_pb.js";
import { tensorDims } from "./tensor-proto.js";

/** A dimension: a size, the name of one that is set at run time, or undefined. */
export type Dim = number | string | undefined;

/** What is known of a value before running. */
export interface ValueType {
  /** TensorProto.DataType; 0 when unknown. */
  readonly dataType: number;
  /** Undefined when not even the rank is known. */
  readonly dims: readonly Dim[] | undefined;
}

/** The types a graph states: of its inputs, outputs, initializers and annotated values. */
export function declaredTypes(graph: GraphProto): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const { name, type } of [...graph.valueInfo, ...graph.output, ...graph.input]) {
    const declared = tensorType(type);
    if (declared !== undefined) types.set(name, declared);
  }
  for (const tensor of graph.initializer)
    types.set(tensor.name, { dataType: tensor.dataType, dims: tensorDims(tensor) });
  return types;
}

function tensorType(type: TypeProto | undefined): ValueType | undefined {
  if (type?.value.case !== "tensorType") return undefined;
  const { elemType, shape } = type.value.value;
  const dims = shape?.dim.map(({ value }): Dim => {
    // Some exporters write -1 for a size they do not know.
    if (value.case === "dimValue") return value.value < 0n ? undefined : Number(value.value);
    return value.case === "dimParam" && value.value !== "" ? value.value : undefined;
  });
  return { dataType: elemType, dims };
}
