import { create } from "@bufbuild/protobuf";
import type { OpInfo } from "../../src/backend/info.js";
import type { AttributeValue } from "../../src/onnx/attributes.js";
import { ValueInfoProtoSchema } from "../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../src/onnx/initializer.js";
import { type DataType, elementCount, type Tensor } from "../../src/tensor.js";
import { buildModel, type ModelBuilder } from "./model-builder.js";
import { int64, randomFloats } from "./tensors.js";

/** A test case of a row of the op table, as native/ops/op.h describes it. */
export interface OpSample {
  readonly inputs: readonly (readonly number[] | SampleInput | null)[];
  readonly attributes?: Readonly<Record<string, SampleAttribute>>;
  readonly outputs?: number;
  readonly opset?: number;
}

interface SampleInput {
  readonly dims: readonly number[];
  readonly dtype?: DataType;
  readonly values?: readonly number[];
  readonly low?: number;
  readonly high?: number;
  readonly constant?: boolean;
}

type SampleAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: SampleInput };

/** An input of the sample's node with its value. Floats that are not constant are what derivatives are taken of. */
export interface NodeInput {
  readonly name: string;
  readonly tensor: Tensor;
  readonly constant: boolean;
}

export interface OpCase {
  readonly title: string;
  readonly opset: number;
  readonly inputs: readonly (NodeInput | null)[];
  readonly outputs: readonly string[];
  /** Adds the node to a model in which its inputs exist. */
  readonly addNode: (model: ModelBuilder) => ModelBuilder;
}

const defaultOpset = 17;

export function opCase(row: OpInfo, index: number): OpCase {
  const sample = row.samples[index] as OpSample;
  const inputs = sample.inputs.map((input, i) => {
    if (input === null) return null;
    const spec: SampleInput = "dims" in input ? input : { dims: input };
    return { name: `x${i}`, tensor: sampleTensor(spec, 1 + i), constant: spec.constant ?? false };
  });
  const outputs = Array.from({ length: sample.outputs ?? 1 }, (_, i) => `y${i}`);
  const attributes = Object.fromEntries(
    Object.entries(sample.attributes ?? {}).map(([name, value]) => [name, attributeValue(value)]),
  );
  const names = inputs.map((input) => input?.name ?? "");
  return {
    title: `${row.type} ${JSON.stringify(sample)}`,
    opset: sample.opset ?? Math.max(row.since, defaultOpset),
    inputs,
    outputs,
    addNode: (model) => {
      if (row.domain !== "") model.opset(row.domain, 1);
      return model.node(row.type, names, outputs, attributes, { name: "node", domain: row.domain });
    },
  };
}

function sampleTensor({ dims, dtype = "float32", values, low = -1, high = 1 }: SampleInput, seed: number): Tensor {
  const numbers = values ?? randomFloats(elementCount(dims), seed, low, high);
  switch (dtype) {
    case "float32":
      return { dtype, dims, data: Float32Array.from(numbers) };
    case "int64":
      return int64(dims, numbers);
    case "int32":
      return { dtype, dims, data: Int32Array.from(numbers) };
    case "int8":
      return { dtype, dims, data: Int8Array.from(numbers) };
    case "uint8":
    case "bool":
      return { dtype, dims, data: Uint8Array.from(numbers) };
    default:
      throw new Error(`samples of ${dtype} are not supported`);
  }
}

/** JSON has one kind of number: integers make ints, the rest floats, and `{ float }` says that an integer is a float. */
function attributeValue(value: SampleAttribute): AttributeValue {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === "string") return value;
  if ("float" in value) return value.float;
  if ("floats" in value || "strings" in value) return value;
  if ("tensor" in value) return makeTensor("", sampleTensor(value.tensor, 1));
  return value.map(BigInt);
}

export const isFloat = ({ dtype }: Tensor) => dtype === "float32" || dtype === "float64";

/** The inputs that derivatives are taken of. */
export function variables({ inputs }: OpCase): NodeInput[] {
  return inputs.filter((input) => input !== null && !input.constant && isFloat(input.tensor)) as NodeInput[];
}

/** The node alone, its variables and integers as graph inputs. `batch` adds an unused first input that makes the whole case one sample. */
export function directModel(op: OpCase, batch: boolean): ModelBuilder {
  const model = buildModel(op.opset);
  if (batch) model.input("batch", [1]);
  for (const input of op.inputs) if (input !== null) addInput(model, input);
  op.addNode(model);
  return addOutputs(model, op);
}

/** The node with each variable as `batch [1,1] x weight [1,n]`, so that directions and products H v can be had of all of them. */
export function weightModel(op: OpCase): ModelBuilder {
  const model = buildModel(op.opset).input("batch", [1, 1]);
  const through = new Set(variables(op));
  for (const input of op.inputs) {
    if (input === null) continue;
    const { name, tensor } = input;
    if (!through.has(input)) {
      addInput(model, input);
      continue;
    }
    model.constant(`w_${name}`, { dtype: "float32", dims: [1, tensor.data.length], data: tensor.data as Float32Array });
    model.constant(`dims_${name}`, int64([tensor.dims.length], tensor.dims));
    model.node("MatMul", ["batch", `w_${name}`], [`row_${name}`]);
    model.node("Reshape", [`row_${name}`, `dims_${name}`], [name]);
  }
  op.addNode(model);
  return addOutputs(model, op);
}

/** Outputs without a type, which is for the operator to say. */
function addOutputs(model: ModelBuilder, { outputs }: OpCase): ModelBuilder {
  for (const name of outputs) model.graph.output.push(create(ValueInfoProtoSchema, { name }));
  return model;
}

function addInput(model: ModelBuilder, { name, tensor, constant }: NodeInput): void {
  if (constant) model.constant(name, tensor);
  else model.input(name, tensor.dims, tensor.dtype);
}
