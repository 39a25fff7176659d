import { floatAttribute, intAttribute, intsAttribute, removeAttribute, stringAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import { int64Vector, scalarTensor } from "../initializer.js";
import type { Upgrade, UpgradeContext } from "./upgrade.js";

/** Moves an attribute that lists integers to an input; undefined when the node does not have it. */
function moveInts(node: NodeProto, context: UpgradeContext, attribute: string, port: number): true | undefined {
  const values = intsAttribute(node, attribute, undefined);
  if (values === undefined) return undefined;
  removeAttribute(node, attribute);
  // An empty list meant the default, as leaving the input out does.
  if (values.length > 0) setInput(node, port, context.store(`${node.name}_${attribute}`, int64Vector(values)));
  return true;
}

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
      const axes = intsAttribute(
        node,
        "axes",
        starts.map((_, axis) => axis),
      );
      moveInts(node, context, "starts", 1);
      moveInts(node, context, "ends", 2);
      removeAttribute(node, "axes");
      setInput(node, 3, context.store(`${node.name}_axes`, int64Vector(axes)));
      return true;
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
        removeAttribute(node, attribute);
        if (bound !== undefined) setInput(node, port, context.store(`${node.name}_${attribute}`, scalarTensor(bound)));
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
      if (stringAttribute(node, "mode", "constant") === "constant") {
        setInput(node, 2, context.store(`${node.name}_value`, scalarTensor(value)));
      }
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
    convert: (node, context) => moveInts(node, context, "axes", 1),
  },
  { opTypes: ["Split"], since: 13, convert: (node, context) => moveInts(node, context, "split", 1) },
  { opTypes: reductions.split(" "), since: 18, convert: (node, context) => moveInts(node, context, "axes", 1) },
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
