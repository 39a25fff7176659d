import { create } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  type NodeProto,
  type TensorProto,
} from "./generated/onnx_pb.js";
import { describeNode } from "./traverse.js";

/** Values an attribute can be made of: a bigint or an integer array makes ints, a number makes a float. */
export type AttributeValue =
  | bigint
  | number
  | string
  | TensorProto
  | readonly bigint[]
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Makes an attribute: bigint -> int, number -> float, string, bigint[] -> ints, `{ floats }`, `{ strings }`, or a tensor. */
export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "bigint") return create(AttributeProtoSchema, { name, type: Kind.INT, i: int64(value) });
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: encoder.encode(value) });
  if ("$typeName" in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: value });
  if ("floats" in value) return create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: [...value.floats] });
  if ("strings" in value) {
    const strings = value.strings.map((text) => encoder.encode(text));
    return create(AttributeProtoSchema, { name, type: Kind.STRINGS, strings });
  }
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(int64) });
}

/** An integer as the file can hold it; beyond that only nodes that make no sense go. */
function int64(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

/** A node's attribute by name. */
export function findAttribute(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((attribute) => attribute.name === name);
}

/** Sets or replaces an attribute. */
export function setAttribute(node: NodeProto, name: string, value: AttributeValue): void {
  node.attribute = [...node.attribute.filter((attribute) => attribute.name !== name), makeAttribute(name, value)];
}

export function removeAttribute(node: NodeProto, name: string): void {
  node.attribute = node.attribute.filter((attribute) => attribute.name !== name);
}

/** An integer attribute; `fallback` when the node does not have it. Values beyond 2^53, which only mean "to the end", are rounded. */
export function intAttribute<T>(node: NodeProto, name: string, fallback: T): number | T {
  const attribute = read(node, name, Kind.INT);
  return attribute === undefined ? fallback : Number(attribute.i);
}

export function intsAttribute<T>(node: NodeProto, name: string, fallback: T): number[] | T {
  const attribute = read(node, name, Kind.INTS);
  return attribute === undefined ? fallback : attribute.ints.map(Number);
}

export function floatAttribute<T>(node: NodeProto, name: string, fallback: T): number | T {
  return read(node, name, Kind.FLOAT)?.f ?? fallback;
}

export function floatsAttribute<T>(node: NodeProto, name: string, fallback: T): number[] | T {
  return read(node, name, Kind.FLOATS)?.floats ?? fallback;
}

export function stringAttribute<T>(node: NodeProto, name: string, fallback: T): string | T {
  const attribute = read(node, name, Kind.STRING);
  return attribute === undefined ? fallback : decoder.decode(attribute.s);
}

export function tensorAttribute(node: NodeProto, name: string): TensorProto | undefined {
  return read(node, name, Kind.TENSOR)?.t;
}

function read(node: NodeProto, name: string, kind: Kind): AttributeProto | undefined {
  const attribute = findAttribute(node, name);
  if (attribute === undefined) return undefined;
  // Files of IR version 1 leave the type out.
  if (attribute.type !== kind && attribute.type !== Kind.UNDEFINED) {
    throw new BitwrightError("invalid-model", `attribute "${name}" has another type`, {
      where: describeNode(node),
      expected: Kind[kind].toLowerCase(),
      received: Kind[attribute.type].toLowerCase(),
    });
  }
  return attribute;
}
