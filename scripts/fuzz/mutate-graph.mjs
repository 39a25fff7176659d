// Damage to graphs: their inputs, outputs and order, nodes removed, repeated, and put in between.

import { create } from "@bufbuild/protobuf";
import { AttributeProtoSchema, GraphProtoSchema } from "../../dist/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../dist/onnx/initializer.js";
import { makeNode } from "../../dist/onnx/node.js";
import { int64, valueInfo } from "./build-model.mjs";

/** @typedef {import("./choices.mjs").Choices} Choices */
/** @typedef {import("../../dist/onnx/generated/onnx_pb.js").GraphProto} GraphProto */

/**
 * @param {GraphProto} graph
 * @param {Choices} random
 * @returns {string | undefined} what was done
 */
export function mutateGraph(graph, random) {
  return random.pick([changeInput, changeInput, changeOutput, changeNodes, putBetween, putBetween, putBetween, grow])(
    graph,
    random,
  );
}

/** @type {(graph: GraphProto, random: Choices) => string | undefined} */
function changeInput(graph, random) {
  if (graph.input.length === 0) return undefined;
  const input = random.pick(graph.input);
  const tensor = input.type?.value.case === "tensorType" ? input.type.value.value : undefined;
  const dims = tensor?.shape?.dim ?? [];
  switch (random.below(7)) {
    case 0:
      graph.input = random.chance(0.5) ? [] : [...graph.input, { ...input }];
      return "inputs dropped or doubled";
    case 1:
      input.name = random.pick(["", "other", "__proto__", graph.initializer[0]?.name ?? ""]);
      return `an input named ${JSON.stringify(input.name)}`;
    case 2:
      if (random.chance(0.3)) input.type = undefined;
      else if (tensor) tensor.elemType = random.pick([0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 99]);
      return `input ${input.name} of another type`;
    case 3:
      if (tensor) tensor.shape = undefined;
      return `input ${input.name} without a shape`;
    default: {
      if (dims.length === 0) return undefined;
      const at = random.below(dims.length);
      if (random.chance(0.2)) dims.splice(at, 1);
      else
        dims[at].value = {
          case: "dimValue",
          value: random.chance(0.5) ? random.hostileInteger() : BigInt(random.below(9)),
        };
      return `input ${input.name}: dims ${dims.map(({ value }) => value.value)}`;
    }
  }
}

/** @type {(graph: GraphProto, random: Choices) => string | undefined} */
function changeOutput(graph, random) {
  const inner = random.pick(graph.node)?.output[0] ?? "";
  const name = random.pick([inner, inner, "nobody", "", graph.input[0]?.name ?? "", graph.initializer[0]?.name ?? ""]);
  if (random.chance(0.1)) graph.output = [];
  else if (random.chance(0.5)) graph.output = [valueInfo(name, random.pick(["float32", "int64"]), [1n])];
  else graph.output.push(valueInfo(name, "float32"));
  return `outputs ${graph.output.map((output) => output.name)}`;
}

/** @type {(graph: GraphProto, random: Choices) => string | undefined} */
function changeNodes(graph, random) {
  if (graph.node.length === 0) return undefined;
  const at = random.place(graph.node.length);
  const node = graph.node[at];
  switch (random.below(4)) {
    case 0:
      graph.node.splice(at, 1);
      return `without ${node.opType} ${node.name}`;
    case 1:
      graph.node.splice(random.below(graph.node.length), 0, node);
      return `${node.opType} ${node.name} twice`;
    case 2:
      graph.node.reverse();
      return "nodes in reverse order";
    default: {
      const initializer = graph.initializer.splice(random.below(graph.initializer.length), 1)[0];
      return `without initializer ${initializer?.name}`;
    }
  }
}

/** Small and hostile sizes in turn, few enough that most are refused for a single reason. */
function sizes(random, count) {
  return Array.from({ length: count }, () => Number(random.chance(0.6) ? random.below(4) : random.hostileInteger()));
}

/** Operators that make tensors out of numbers, each with its second input. */
const makers = {
  Reshape: (random) => sizes(random, random.below(6)),
  Expand: (random) => sizes(random, random.below(6)),
  Tile: (random) => sizes(random, random.below(5)),
  Pad: (random) => sizes(random, 2 * random.below(5)),
  Gather: (random) => sizes(random, 1 + random.below(4)),
  Unsqueeze: (random) => sizes(random, 1 + random.below(2)),
  Squeeze: (random) => sizes(random, random.below(3)),
  Split: (random) => sizes(random, random.below(4)),
  ReduceSum: (random) => sizes(random, random.below(3)),
};

/** Puts a node between a value and one of its readers. @type {(graph: GraphProto, random: Choices) => string | undefined} */
function putBetween(graph, random) {
  const reader = random.pick(graph.node);
  if (reader === undefined || reader.input.length === 0) return undefined;
  const port = random.below(reader.input.length);
  const numbers = (values) => {
    const name = `numbers_${graph.initializer.length}`;
    graph.initializer.push(makeTensor(name, int64([values.length], values.map(BigInt))));
    return name;
  };
  const output = `between_${graph.node.length}`;
  let node;
  if (random.chance(0.2)) {
    const values = sizes(random, random.below(5));
    node = makeNode({ opType: "ConstantOfShape", name: output, inputs: [numbers(values)], outputs: [output] });
  } else {
    const opType = random.pick(Object.keys(makers));
    const inputs = [reader.input[port], numbers(makers[opType](random))];
    const attributes = opType === "Pad" ? { mode: random.pick(["constant", "reflect", "edge", "wrap"]) } : {};
    node = makeNode({ opType, name: output, inputs, outputs: [output], attributes });
  }
  graph.node.splice(graph.node.indexOf(reader), 0, node);
  reader.input[port] = output;
  const data = graph.initializer.at(-1).rawData;
  return `${node.opType} [${new BigInt64Array(data.buffer, data.byteOffset, data.length / 8)}] before ${reader.opType} ${reader.name}`;
}

/** Long and deep things. @type {(graph: GraphProto, random: Choices) => string | undefined} */
function grow(graph, random) {
  const reader = graph.node.find(({ input }) => input.length > 0);
  if (reader === undefined) return undefined;
  const long = random.chance(0.5);
  const count = random.pick(long ? [10, 300, 2000] : [3, 50, 400]);
  if (!long) {
    let inner = create(GraphProtoSchema, { name: "innermost" });
    for (let depth = 0; depth < count; depth++) {
      const node = makeNode({
        opType: "If",
        name: `deep_${depth}`,
        inputs: [reader.input[0]],
        outputs: [`deep_${depth}`],
      });
      node.attribute.push(create(AttributeProtoSchema, { name: "then_branch", type: 5, g: inner }));
      inner = create(GraphProtoSchema, { name: "inner", node: [node] });
    }
    graph.node.push(...inner.node);
    return `${count} graphs inside each other`;
  }
  let name = reader.input[0];
  const chain = Array.from({ length: count }, (_, i) => {
    const node = makeNode({ opType: "Relu", name: `long_${i}`, inputs: [name], outputs: [`long_${i}`] });
    name = `long_${i}`;
    return node;
  });
  graph.node.unshift(...chain);
  reader.input[0] = name;
  return `a chain of ${count} nodes`;
}
