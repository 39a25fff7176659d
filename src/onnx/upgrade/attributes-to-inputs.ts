import type { Tensor } from "../../tensor.js";
import {
  findAttribute,
  floatAttribute,
  intAttribute,
  intsAttribute,
  removeAttribute,
  setAttribute,
  stringAttribute,
} from "../attributes.js";
import { TensorProto_DataType as Code, type NodeProto } from "../generated/onnx_pb.js";
import { int64Vector, scalarTensor } from "../initializer.js";
import type { Refusal, Upgrade, UpgradeContext } from "./upgrade.js";

/** Moves an attribute that lists integers to an input, as it is. */
function moveInts(node: NodeProto, context: UpgradeContext, attribute: string, port: number): true {
  const values = findAttribute(node, attribute)?.ints ?? [];
  removeAttribute(node, attribute);
  setInput(node, port, context.store(`${node.name}_${attribute}`, int64Vector(values)));
  return true;
}

/** The same for an attribute that may be left out, or be empty, which means the default. */
function moveOptionalInts(node: NodeProto, context: UpgradeContext, attribute: string, port: number): true | undefined {
  const given = findAttribute(node, attribute);
  if (given !== undefined && given.ints.length > 0) return moveInts(node, context, attribute, port);
  removeAttribute(node, attribute);
  return given && true;
}

/** A scalar of a node's element type; undefined for those this module cannot write. */
function scalarLike(node: NodeProto, context: UpgradeContext, value: number): Tensor | undefined {
  switch (context.type(node.input[0]!)?.dataType ?? Code.UNDEFINED) {
    case Code.FLOAT:
    case Code.UNDEFINED:
      return scalarTensor(value);
    case Code.DOUBLE:
      return { dtype: "float64", dims: [], data: Float64Array.of(value) };
    default:
      return undefined;
  }
}

const otherType: Refusal = { refused: "its element type is not float or double" };

function setInput(node: NodeProto, port: number, name: string): void {
  while (node.input.length <= port) node.input.push("");
  node.input[port] = name;
}

const reductions =
  "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare";

/** Operators whose attributes became inputs, so that they may be computed. */
export const attributesToInputs: readonly Upgrade[] = [
  {
    opTypes: ["Slice"],
    since: 10,
    convert: (node, context) => {
      const starts = intsAttribute(node, "starts", []);
      moveInts(node, context, "starts", 1);
      moveInts(node, context, "ends", 2);
      if (findAttribute(node, "axes") === undefined)
        setAttribute(
          node,
          "axes",
          starts.map((_, axis) => BigInt(axis)),
        );
      return moveInts(node, context, "axes", 3);
    },
  },
  {
    opTypes: ["TopK"],
    since: 10,
    convert: (node, context) => {
      setInput(node, 1, context.store(`${node.name}_k`, int64Vector([intAttribute(node, "k", 1)])));
      removeAttribute(node, "k");
      return true;
    },
  },
  {
    opTypes: ["Clip"],
    since: 11,
    convert: (node, context) => {
      for (const [attribute, port] of [
        ["min", 1],
        ["max", 2],
      ] as const) {
        const bound = floatAttribute(node, attribute, undefined);
        if (bound === undefined) continue;
        const scalar = scalarLike(node, context, bound);
        if (scalar === undefined) return otherType;
        removeAttribute(node, attribute);
        setInput(node, port, context.store(`${node.name}_${attribute}`, scalar));
      }
      return true;
    },
  },
  {
    opTypes: ["Pad"],
    since: 11,
    convert: (node, context) => {
      moveInts(node, context, "pads", 1);
      const value = floatAttribute(node, "value", 0);
      removeAttribute(node, "value");
      // Zero is the default still.
      if (value === 0 || stringAttribute(node, "mode", "constant") !== "constant") return true;
      const scalar = scalarLike(node, context, value);
      if (scalar === undefined) return otherType;
      setInput(node, 2, context.store(`${node.name}_value`, scalar));
      return true;
    },
  },
  {
    opTypes: ["Dropout"],
    since: 12,
    convert: (node, context) => {
      const [, mask = ""] = node.output;
      if (mask !== "" && context.isRead(mask)) return { refused: "its mask is read, whose meaning changed" };
      node.output = node.output.slice(0, 1);
      setInput(node, 1, context.store(`${node.name}_ratio`, scalarTensor(floatAttribute(node, "ratio", 0.5))));
      removeAttribute(node, "ratio");
      return true;
    },
  },
  {
    opTypes: ["Squeeze", "Unsqueeze", "ReduceSum"],
    since: 13,
    convert: (node, context) => moveOptionalInts(node, context, "axes", 1),
  },
  { opTypes: ["Split"], since: 13, convert: (node, context) => moveOptionalInts(node, context, "split", 1) },
  { opTypes: reductions.split(" "), since: 18, convert: (node, context) => moveOptionalInts(node, context, "axes", 1) },
  {
    opTypes: ["DFT"],
    since: 20,
    convert: (node, context) => {
      const axis = BigInt64Array.of(BigInt(intAttribute(node, "axis", 1)));
      removeAttribute(node, "axis");
      setInput(node, 2, context.store(`${node.name}_axis`, { dtype: "int64", dims: [], data: axis }));
      return true;
    },
  },
];
