import { toBinary } from "@bufbuild/protobuf";
import { type Amount, resolveAmount } from "./amount.js";
import { layerBytes } from "./cost/bytes.js";
import { type LatencyModel, latencyResource } from "./cost/latency-model.js";
import { layerMacs, workTensors } from "./cost/macs.js";
import { hasWeight, storedIn, type WeightedLayer } from "./export/layers.js";
import type { Layout } from "./export/layout.js";
import { exportModel } from "./export/qdq.js";
import { formats, type LayerChoice } from "./formats.js";
import type { LayerGroup } from "./groups.js";
import { cloneMessage } from "./onnx/clone.js";
import { ModelProtoSchema } from "./onnx/generated/onnx_pb.js";
import { type OnnxModel, storedBytes } from "./onnx/model.js";
import { everyTensor } from "./onnx/traverse.js";
import type { Limits } from "./options.js";
import type { Control } from "./progress.js";
import { sampleShapes } from "./sample-shapes.js";
import type { Factor, Resource } from "./search/problem.js";
import { elementCount } from "./tensor.js";
import type { Workspace } from "./workspace.js";

/** What configurations use of everything that is known, with the user's limits. */
export async function resourcesOf(
  workspace: Workspace,
  groups: readonly LayerGroup[],
  latency: LatencyModel | undefined,
  layout: (choices: ReadonlyMap<string, LayerChoice>) => Layout,
  limits: Limits,
  control: Control,
): Promise<Resource[]> {
  return [
    bytesResource(workspace, groups, layout, limits.maxSize),
    macsResource(groups, await sampleShapes(workspace, workspace.layers.flatMap(workTensors), control), limits.maxMacs),
    ...(latency === undefined ? [] : [limitedLatency(latency, groups, limits.maxLatency)]),
  ];
}

function limitedLatency(model: LatencyModel, groups: readonly LayerGroup[], limit: Amount | undefined): Resource {
  const resource = latencyResource(model, groups);
  return limit === undefined ? resource : { ...resource, limit: resolveAmount(limit, model.floatMs) };
}

/** Size and time together: what a configuration uses of each resource, as a share of what the float one does. */
export function footprintOf(resources: readonly Resource[]): Resource {
  const scaled = resources.map(({ fixed, factors }) => {
    const float = fixed + sum(factors, ({ values }) => values[0]!);
    return {
      fixed: fixed / float,
      factors: factors.map(({ groups, values }) => ({ groups, values: values.map((value) => value / float) })),
    };
  });
  return {
    name: "footprint",
    fixed: sum(scaled, ({ fixed }) => fixed),
    factors: scaled.flatMap(({ factors }) => factors),
  };
}

/**
 * Bytes of the written file: what is not layers as the float model has it, the layers' tensors, and, where a limit has to hold, the nodes and names that
 * come with every quantized layer.
 */
function bytesResource(
  { original, model }: Workspace,
  groups: readonly LayerGroup[],
  layout: (choices: ReadonlyMap<string, LayerChoice>) => Layout,
  limit?: Amount,
): Resource {
  const tensors = (group: LayerGroup, choice: LayerChoice) =>
    sum(withOwnWeight(group), (layer) => layerBytes(layer, choice));
  const fixed = fileBytes(model) - sum(groups, (group) => tensors(group, group.choices[0]!)) - copiedBytes(groups);
  if (limit === undefined) return { name: "bytes", fixed, factors: unaryFactors(groups, tensors) };
  /** What a file in which every group takes such a choice, if it has one, has beyond its tensors, for each layer that does. */
  const extra = (isMeant: (choice: LayerChoice) => boolean) => {
    const chosen = groups.map((group) => ({ group, choice: group.choices.findLast(isMeant) ?? group.choices[0]! }));
    const choices = chosen.flatMap(({ group, choice }) => group.layers.map(({ node }) => [node, choice] as const));
    const written = fileBytes(exportModel(model, layout(new Map(choices))));
    const expected = fixed + sum(chosen, ({ group, choice }) => tensors(group, choice));
    const layers = sum(chosen, ({ group, choice }) => (choice === group.choices[0] ? 0 : group.layers.length));
    return Math.max(0, written - expected) / Math.max(1, layers);
  };
  const weightOnly = extra(({ weight, activation }) => weight !== "float" && activation === "float");
  const both = extra(({ activation }) => activation !== "float");
  const bytes = (group: LayerGroup, choice: LayerChoice) => {
    const nodes = choice === group.choices[0] ? 0 : choice.activation === "float" ? weightOnly : both;
    return tensors(group, choice) + nodes * group.layers.length;
  };
  return {
    name: "bytes",
    fixed,
    factors: unaryFactors(groups, bytes),
    limit: resolveAmount(limit, fileBytes(original)),
  };
}

/** Layers of a group that share one weight store it once. */
function withOwnWeight({ layers }: LayerGroup): WeightedLayer[] {
  return [...new Map(layers.filter(hasWeight).map((layer) => [storedIn(layer.weight), layer])).values()];
}

/** Bytes of weights that the model holds and the file does not. */
function copiedBytes(groups: readonly LayerGroup[]): number {
  const weights = groups.flatMap(({ layers }) => layers.filter(hasWeight).map(({ weight }) => weight));
  const copies = new Map(
    weights.flatMap((weight) => (weight.copyOf === undefined ? [] : [[weight.initializer, weight]])),
  );
  return sum([...copies.values()], ({ dims }) => 4 * elementCount(dims));
}

/**
 * Multiply-accumulates of one sample, counted by the width of the wider operand: a float one is one, int8 by int8 a quarter, and a narrow weight that
 * meets a float activation saves nothing, since it is multiplied as a float.
 */
function macsResource(
  groups: readonly LayerGroup[],
  shapes: ReadonlyMap<string, readonly number[]>,
  limit?: Amount,
): Resource {
  const macs = ({ layers }: LayerGroup, { weight, activation }: LayerChoice) =>
    sum(layers, (layer) => {
      const operands = layer.weight === undefined ? [activation] : [weight, activation];
      return (layerMacs(layer, shapes) * Math.max(...operands.map((format) => formats[format].bits))) / 32;
    });
  const float = sum(groups, (group) => macs(group, { weight: "float", activation: "float" }));
  return {
    name: "macs",
    fixed: 0,
    factors: unaryFactors(groups, macs),
    ...(limit !== undefined && { limit: resolveAmount(limit, float) }),
  };
}

function unaryFactors(
  groups: readonly LayerGroup[],
  value: (group: LayerGroup, choice: LayerChoice) => number,
): Factor[] {
  return groups.map((group, g) => ({
    groups: [g],
    values: Float64Array.from(group.choices, (choice) => value(group, choice)),
  }));
}

/** Size of a model as a file, without making a copy of its weights. */
export function fileBytes({ proto }: OnnxModel): number {
  const hollow = cloneMessage(proto);
  const stored = storedBytes(hollow);
  for (const tensor of everyTensor(hollow)) tensor.rawData = new Uint8Array(0);
  return toBinary(ModelProtoSchema, hollow).length + stored;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
