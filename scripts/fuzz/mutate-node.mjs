// Damage to nodes: their operators, attributes and edges.

import { makeAttribute } from "../../dist/onnx/attributes.js";
import { mutateTensor } from "./mutate-tensor.mjs";

/** @typedef {import("./choices.mjs").Choices} Choices */
/** @typedef {import("../../dist/onnx/generated/onnx_pb.js").GraphProto} GraphProto */
/** @typedef {import("../../dist/onnx/generated/onnx_pb.js").NodeProto} NodeProto */

/**
 * @param {GraphProto} graph the one that the node is in
 * @param {NodeProto} node
 * @param {Choices} random
 * @returns {string} what was done
 */
export function mutateNode(graph, node, random) {
  const mutate = random.pick([
    changeAttribute,
    changeAttribute,
    addAttribute,
    changeInput,
    changeInput,
    changeOutput,
    changeType,
  ]);
  return `${node.opType} ${node.name}: ${mutate(graph, node, random)}`;
}

/** @type {(graph: GraphProto, node: NodeProto, random: Choices) => string} */
function changeAttribute(graph, node, random) {
  if (node.attribute.length === 0) return addAttribute(graph, node, random);
  const attribute = random.pick(node.attribute);
  const text = random.pick(texts);
  switch (random.below(8)) {
    case 0:
      attribute.type = random.below(15);
      return `${attribute.name} of type ${attribute.type}`;
    case 1:
      node.attribute = node.attribute.filter((other) => other !== attribute);
      return `without ${attribute.name}`;
    case 2:
      node.attribute.push({ ...attribute });
      return `${attribute.name} twice`;
    default:
  }
  attribute.i = random.hostileInteger();
  attribute.f = random.hostileFloat();
  attribute.s = new TextEncoder().encode(text);
  attribute.ints = changedList(attribute.ints, random);
  if (attribute.t !== undefined) mutateTensor(attribute.t, random);
  const shown = { 1: attribute.f, 2: attribute.i, 3: text, 4: "tensor", 7: attribute.ints };
  return `${attribute.name} ${shown[attribute.type]}`;
}

/** @type {(ints: bigint[], random: Choices) => bigint[]} */
function changedList(ints, random) {
  const changed = [...ints];
  const value = random.hostileInteger();
  const at = random.below(ints.length + 1);
  if (random.chance(0.7) && at < ints.length) changed[at] = value;
  else if (random.chance(0.5)) changed.splice(at, 0, value);
  else if (random.chance(0.8)) changed.splice(at, 1);
  else return ints.map(() => value);
  return changed;
}

const texts = [
  "",
  "SAME_UPPER",
  "SAME_LOWER",
  "VALID",
  "NOTSET",
  "reflect",
  "edge",
  "wrap",
  "CRD",
  "add",
  "max",
  "tanh",
  "?",
];

/** Attributes of many operators; each means something to some. */
const known = {
  i: "group axis keepdims to transA transB ceil_mode count_include_pad allowzero blocksize batch_dims num_outputs training_mode start end storage_order fmod noop_with_empty_axes spatial exclusive reverse largest".split(
    " ",
  ),
  ints: "pads kernel_shape strides dilations perm axes split shape starts ends output_shape output_padding".split(" "),
  f: "alpha beta epsilon value min max ratio momentum".split(" "),
  s: "auto_pad mode reduction approximate direction nearest_mode coordinate_transformation_mode".split(" "),
};

/** @type {(graph: GraphProto, node: NodeProto, random: Choices) => string} */
function addAttribute(_graph, node, random) {
  const kind = random.pick(Object.keys(known));
  const name = random.pick(known[kind]);
  const list = () => Array.from({ length: random.below(7) }, () => random.pick([0n, 1n, 2n, random.hostileInteger()]));
  const value = {
    i: () => random.hostileInteger(),
    ints: list,
    f: () => random.hostileFloat(),
    s: () => random.pick(texts),
  }[kind]();
  node.attribute = [...node.attribute.filter((attribute) => attribute.name !== name), makeAttribute(name, value)];
  return `${name} ${value}`;
}

/** @type {(graph: GraphProto, node: NodeProto, random: Choices) => string} */
function changeInput(graph, node, random) {
  const at = random.below(node.input.length + 1);
  const names = [
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ];
  const name = random.chance(0.8) ? random.pick(names) : random.pick(["", "nobody", "__proto__", "constructor"]);
  switch (random.below(8)) {
    case 0:
      node.input.splice(at, 1);
      break;
    case 1:
      node.input.splice(at, 0, name);
      break;
    case 2:
      node.input.reverse();
      break;
    default:
      node.input[at] = name;
  }
  return `inputs ${node.input.slice(0, 8)}`;
}

/** @type {(graph: GraphProto, node: NodeProto, random: Choices) => string} */
function changeOutput(graph, node, random) {
  const at = random.below(node.output.length + 1);
  const name = random.pick(["", "extra", "__proto__", random.pick(graph.node).output[0] ?? ""]);
  if (random.chance(0.2)) node.output.splice(at, 1);
  else node.output.splice(at, random.below(2), name);
  return `outputs ${node.output}`;
}

const types =
  "Add Sub Mul Div Pow Mod MatMul Gemm Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool BatchNormalization LayerNormalization InstanceNormalization Softmax LogSoftmax Relu Clip Sigmoid PRelu Gelu Identity Dropout Flatten Reshape Squeeze Unsqueeze Transpose Expand Tile Slice Pad DepthToSpace SpaceToDepth Concat Split Gather GatherElements GatherND ScatterElements ScatterND Shape Size ConstantOfShape Range Constant Cast ReduceSum ReduceMean ReduceMax ReduceProd ReduceL2 ReduceLogSumExp Max Min Sum Mean Where Equal Greater Not And Floor Abs ArgMax CumSum TopK Resize LSTM If Loop Nonsense".split(
    " ",
  );

/** @type {(graph: GraphProto, node: NodeProto, random: Choices) => string} */
function changeType(_graph, node, random) {
  if (random.chance(0.1)) {
    node.domain = random.pick(["ai.onnx", "com.microsoft", "?"]);
    return `domain ${node.domain}`;
  }
  if (random.chance(0.1)) {
    node.name = random.pick(["", "__proto__", "constructor", "same", "\0", "x".repeat(5000)]);
    return `name ${node.name.slice(0, 20)}`;
  }
  node.opType = random.pick(types);
  return `now ${node.opType}`;
}
