// Damage to what a model says: files that are well-formed protocol buffers and make no sense as networks.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, StringStringEntryProtoSchema } from "../../dist/onnx/generated/onnx_pb.js";
import { mutateGraph } from "./mutate-graph.mjs";
import { mutateNode } from "./mutate-node.mjs";
import { mutateTensor } from "./mutate-tensor.mjs";

/** @typedef {import("./choices.mjs").Choices} Choices */
/** @typedef {import("../../dist/onnx/generated/onnx_pb.js").ModelProto} ModelProto */

/**
 * @param {Choices} random
 * @param {Uint8Array} file
 * @returns {{ bytes: Uint8Array, what: string }}
 */
export function mutateModel(random, file) {
  const model = fromBinary(ModelProtoSchema, file);
  const what = [];
  for (let count = 1 + random.below(3); count > 0; count--) {
    const done = random.pick(mutations)(model, random);
    if (done !== undefined) what.push(done);
  }
  return { bytes: toBinary(ModelProtoSchema, model), what: what.join("; ") || "nothing" };
}

/** Each changes the model and says how; undefined when there is nothing to change. */
const mutations = [
  ...new Array(8).fill(changeNode),
  ...new Array(4).fill(changeGraph),
  ...new Array(4).fill(changeTensor),
  changeOpset,
  changeOpset,
  dropGraph,
  changeIrVersion,
  referToFile,
];

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function changeNode({ graph }, random) {
  return graph?.node.length ? mutateNode(graph, graph.node[random.place(graph.node.length)], random) : undefined;
}

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function changeGraph({ graph }, random) {
  return graph && mutateGraph(graph, random);
}

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function changeTensor({ graph }, random) {
  return graph?.initializer.length ? mutateTensor(random.pick(graph.initializer), random) : undefined;
}

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function changeOpset(model, random) {
  const [entry] = model.opsetImport;
  if (entry === undefined || random.chance(0.1)) {
    model.opsetImport = [];
    return "no operator sets";
  }
  if (random.chance(0.1)) {
    model.opsetImport.push({ ...entry });
    return "an operator set twice";
  }
  entry.version = random.pick([0n, 1n, 5n, 6n, 7n, 9n, 10n, 11n, 12n, 13n, 18n, 21n, 999n, -1n, 1n << 40n]);
  return `operator set ${entry.version}`;
}

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function dropGraph(model, random) {
  if (random.chance(0.3)) model.graph = undefined;
  else if (model.graph) model.graph.node = [];
  return "no graph or no nodes";
}

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function changeIrVersion(model, random) {
  model.irVersion = random.pick([0n, 1n, 2n, 3n, 4n, 99n, -1n]);
  return `IR version ${model.irVersion}`;
}

const locations = [
  "../model.onnx",
  "/etc/passwd",
  "model.onnx",
  "missing.bin",
  "",
  ".",
  "a/../../b",
  "/dev/zero",
  "x\0y",
];

/** @type {(model: ModelProto, random: Choices) => string | undefined} */
function referToFile({ graph }, random) {
  if (!graph?.initializer.length) return undefined;
  const tensor = random.pick(graph.initializer);
  const entries = { location: random.pick(locations) };
  if (random.chance(0.7)) entries.offset = String(random.pick([0, 4, -1, 2 ** 53, "NaN", "1e3"]));
  if (random.chance(0.7)) entries.length = String(random.pick([0, tensor.rawData.length, -1, 2 ** 53, "all"]));
  tensor.rawData = new Uint8Array(0);
  tensor.dataLocation = 1;
  tensor.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  return `data of ${tensor.name} at ${JSON.stringify(entries)}`;
}
