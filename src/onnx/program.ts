/**
 * The program: what the engine gets of a model. It names operators and attributes as the file does and means nothing by them.
 *
 * Little-endian, fields one after another without gaps except where padding is named; padding is zeros and counts from the start
 * of the buffer.
 *
 *     str        u32 byte length, UTF-8 bytes, padding to a multiple of 4
 *     dims       u32 rank, rank x i64
 *
 *     header     u32 magic 0x50575742 ("BWWP"), u32 version 2
 *     opsets     u32 count; each: str domain ("" is ONNX's own), i64 version
 *     values     u32 count; each: str name, u32 flags (1 graph input, 2 graph output, 4 initializer),
 *                u32 data type (TensorProto.DataType, 0 unknown), i32 rank (-1 unknown), rank x i64 dimension (-1 unknown)
 *     nodes      u32 count; each: str name, str domain, str operator,
 *                u32 inputs, each i32 value id (-1 left out), u32 outputs, each i32 value id (-1 left out),
 *                u32 attributes; each: str name, u32 kind, payload
 *       kind 1   int: i64                     kind 4   ints: u32 n, n x i64
 *       kind 2   float: f32                   kind 5   floats: u32 n, n x f32
 *       kind 3   string: str                  kind 6   strings: u32 n, n x str
 *       kind 7   tensor: u32 data type, dims, u64 byte length, padding to a multiple of 8, data, padding to a multiple of 4
 *       kind 8   another kind (a graph, a type): no payload
 *     initializers
 *                u32 count; each: u32 value id, u32 data type, dims, u64 byte length (2^64 - 1: a float tensor whose data is left
 *                out, to be set before a run), padding to a multiple of 64, data, padding to a multiple of 4
 *
 * A value's id is its place in the list. Nodes are in topological order. float16 and bfloat16 are widened to float32, in tensors
 * and in the values' types. An input that has a default value is an initializer, not an input.
 */
import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import { elementCount } from "../tensor.js";
import { dataTypeCode, dataTypeInfo, dataTypeName } from "./data-types.js";
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as Code,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from "./generated/onnx_pb.js";
import { readTensor } from "./initializer.js";
import { lazyBytesOf, rawLength } from "./lazy-bytes.js";
import type { OnnxModel } from "./model.js";
import { topologicalOrder } from "./order.js";
import { ProgramWriter } from "./program-writer.js";
import { packedBytes, tensorDims } from "./tensor-proto.js";
import { describeNode } from "./traverse.js";
import { canonicalDomain } from "./validate.js";
import { declaredTypes, type ValueType } from "./value-types.js";

export interface EncodedProgram {
  readonly program: Uint8Array;
  /** Value names by id. */
  readonly tensors: readonly string[];
  /** Node names in the program's order. */
  readonly nodes: readonly string[];
  /** Initializers whose elements are left out, by name; each is read when it is asked for. */
  readonly leftOut: ReadonlyMap<string, () => Float32Array>;
}

export interface EncodeOptions {
  /** Leaves out the elements of float initializers that are not held in memory: the engine takes them one by one. */
  readonly leaveOut?: boolean;
}

const valueFlags = { input: 1, output: 2, initializer: 4 } as const;

/**
 * Encodes a model's main graph for the engine.
 * @throws BitwrightError `unsupported-op` that lists every tensor whose element type the engine does not know.
 */
export function encodeProgram(model: OnnxModel, { leaveOut = false }: EncodeOptions = {}): EncodedProgram {
  demand("model", model);
  const { graph } = model;
  const nodes = topologicalOrder(graph.node);
  const stored = new StoredTensors(graph, nodes, leaveOut);
  const tensors = valueNames(graph, nodes);
  const write = (writer: ProgramWriter) => writeProgram(writer, model, nodes, tensors, stored);

  const measure = new ProgramWriter();
  write(measure);
  const program = new Uint8Array(measure.length);
  write(new ProgramWriter(program));
  return { program, tensors, nodes: nodes.map((node) => node.name), leftOut: stored.leftOut };
}

function writeProgram(
  writer: ProgramWriter,
  { proto, graph }: OnnxModel,
  nodes: readonly NodeProto[],
  tensors: readonly string[],
  stored: StoredTensors,
): void {
  const ids = new Map(tensors.map((name, id) => [name, id]));
  const writeIds = (names: readonly string[]) => {
    writer.u32(names.length);
    for (const name of names) writer.i32(name === "" ? -1 : ids.get(name)!);
  };

  writer.u32(0x50575742);
  writer.u32(2);
  writer.u32(proto.opsetImport.length);
  for (const { domain, version } of proto.opsetImport) {
    writer.text(canonicalDomain(domain));
    writer.i64(version);
  }
  writeValues(writer, graph, tensors);
  writer.u32(nodes.length);
  for (const node of nodes) {
    writer.text(node.name);
    writer.text(canonicalDomain(node.domain));
    writer.text(node.opType);
    writeIds(node.input);
    writeIds(node.output);
    writer.u32(node.attribute.length);
    for (const attribute of node.attribute) writeAttribute(writer, attribute, stored);
  }
  writer.u32(graph.initializer.length);
  for (const tensor of graph.initializer) {
    writer.u32(ids.get(tensor.name)!);
    writeTensor(writer, tensor, stored.bytes(tensor), 64);
  }
}

function valueNames(graph: GraphProto, nodes: readonly NodeProto[]): string[] {
  const names = new Set<string>();
  for (const { name } of graph.input) names.add(name);
  for (const { name } of graph.initializer) names.add(name);
  for (const node of nodes) for (const name of node.output) names.add(name);
  names.delete("");
  return [...names];
}

function writeValues(writer: ProgramWriter, graph: GraphProto, tensors: readonly string[]): void {
  const types = declaredTypes(graph);
  const inputs = new Set(graph.input.map(({ name }) => name));
  const outputs = new Set(graph.output.map(({ name }) => name));
  const initializers = new Set(graph.initializer.map(({ name }) => name));
  const unknown: ValueType = { dataType: 0, dims: undefined };
  writer.u32(tensors.length);
  for (const name of tensors) {
    writer.text(name);
    writer.u32(
      (initializers.has(name) ? valueFlags.initializer : inputs.has(name) ? valueFlags.input : 0) |
        (outputs.has(name) ? valueFlags.output : 0),
    );
    const { dataType, dims } = types.get(name) ?? unknown;
    writer.u32(encodedType(dataType));
    writer.i32(dims?.length ?? -1);
    for (const dim of dims ?? []) writer.i64(typeof dim === "number" ? BigInt(dim) : -1n);
  }
}

function writeAttribute(writer: ProgramWriter, attribute: AttributeProto, stored: StoredTensors): void {
  writer.text(attribute.name);
  switch (attribute.type) {
    case AttributeType.INT:
      writer.u32(1);
      writer.i64(attribute.i);
      return;
    case AttributeType.FLOAT:
      writer.u32(2);
      writer.f32(attribute.f);
      return;
    case AttributeType.STRING:
      writer.u32(3);
      writer.bytes(attribute.s);
      return;
    case AttributeType.INTS:
      writer.u32(4);
      writer.u32(attribute.ints.length);
      for (const value of attribute.ints) writer.i64(value);
      return;
    case AttributeType.FLOATS:
      writer.u32(5);
      writer.u32(attribute.floats.length);
      for (const value of attribute.floats) writer.f32(value);
      return;
    case AttributeType.STRINGS:
      writer.u32(6);
      writer.u32(attribute.strings.length);
      for (const value of attribute.strings) writer.bytes(value);
      return;
    case AttributeType.TENSOR:
      if (attribute.t === undefined) break;
      writer.u32(7);
      writeTensor(writer, attribute.t, stored.bytes(attribute.t), 8);
      return;
    default:
  }
  writer.u32(8);
}

const noLength = 2n ** 64n - 1n;

/** @param data - undefined for one that is left out. */
function writeTensor(
  writer: ProgramWriter,
  tensor: TensorProto,
  data: Uint8Array | undefined,
  alignment: number,
): void {
  writer.u32(encodedType(tensor.dataType));
  writer.u32(tensor.dims.length);
  for (const dim of tensor.dims) writer.i64(dim);
  writer.u64(data === undefined ? noLength : BigInt(data.length));
  writer.pad(alignment);
  if (data !== undefined) writer.raw(data);
  writer.pad(4);
}

/** Element types the engine takes, and what each is encoded as. */
const encodedTypes: ReadonlyMap<number, number> = new Map([
  ...[Code.FLOAT, Code.DOUBLE, Code.INT64, Code.INT32, Code.INT16, Code.INT8].map((code) => [code, code] as const),
  ...[Code.UINT8, Code.UINT16, Code.BOOL].map((code) => [code, code] as const),
  [Code.FLOAT16, Code.FLOAT],
  [Code.BFLOAT16, Code.FLOAT],
]);

function encodedType(dataType: number): number {
  return encodedTypes.get(dataType) ?? dataType;
}

/** The bytes of every tensor of a graph: views of the file where it stores them as they are needed. */
class StoredTensors {
  readonly #bytes = new Map<TensorProto, Uint8Array>();
  readonly leftOut = new Map<string, () => Float32Array>();

  constructor(graph: GraphProto, nodes: readonly NodeProto[], leaveOut: boolean) {
    const unsupported: string[] = [];
    const add = (tensor: TensorProto, where: string) => {
      if (encodedTypes.has(tensor.dataType)) this.#bytes.set(tensor, tensorBytes(tensor));
      else unsupported.push(`${where} (${dataTypeName(tensor.dataType)})`);
    };
    for (const tensor of graph.initializer) {
      if (leaveOut && lazyBytesOf(tensor) !== undefined && encodedTypes.get(tensor.dataType) === Code.FLOAT) {
        this.leftOut.set(tensor.name, () => readTensor(tensor).data as Float32Array);
      } else {
        add(tensor, `initializer "${tensor.name}"`);
      }
    }
    for (const { values } of graph.sparseInitializer) unsupported.push(`initializer "${values?.name}" (sparse)`);
    for (const node of nodes) {
      for (const { name, t } of node.attribute) {
        if (t !== undefined) add(t, `attribute "${name}" of ${describeNode(node)}`);
      }
    }
    if (unsupported.length > 0) {
      throw new BitwrightError(
        "unsupported-op",
        `${unsupported.length} tensors have element types the engine does not know`,
        {
          expected: "float, float16, bfloat16, double, bool or integers of 8 to 64 bits",
          received: unsupported.join(", "),
          remedy: "Give bitwright the float model, before any quantization",
        },
      );
    }
  }

  /** undefined for what is left out. */
  bytes(tensor: TensorProto): Uint8Array | undefined {
    return this.#bytes.get(tensor);
  }
}

function tensorBytes(tensor: TensorProto): Uint8Array {
  const { bits } = dataTypeInfo(tensor.dataType)!;
  const size = packedBytes(elementCount(tensorDims(tensor)), bits);
  if (encodedType(tensor.dataType) === tensor.dataType && rawLength(tensor) === size) return tensor.rawData;
  const { dtype, data } = readTensor(tensor);
  if (dataTypeCode(dtype) !== encodedType(tensor.dataType)) {
    throw new BitwrightError("engine-failure", "a tensor was widened to another type than its encoding says", {
      where: `tensor "${tensor.name}"`,
    });
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
