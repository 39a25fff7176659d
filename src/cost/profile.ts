import type { Field } from "../data/field.js";
import { BitwrightError } from "../errors.js";
import type { PlannedLayer } from "../export/targets/target.js";
import { choiceKey, type Format, formats, type LayerChoice } from "../formats.js";
import type { Control } from "../progress.js";
import { sampleShapes } from "../sample-shapes.js";
import { elementCount } from "../tensor.js";
import type { Workspace } from "../workspace.js";
import { layerBytes } from "./bytes.js";
import { floatKernel, type LatencyModel, type LatencyPart } from "./latency-model.js";
import { layerMacs, workTensors } from "./macs.js";

/** What a machine can do at best: enough for a roofline, where nothing can be measured. */
export interface HardwareProfile {
  readonly name: string;
  /** Peak multiply-accumulates a second, by the wider format of the two operands. Formats that are not listed are computed in float. */
  readonly macsPerSecond: Readonly<Partial<Record<Format, number>> & { float: number }>;
  /** Between the processor and the memory that holds weights and activations. */
  readonly bytesPerSecond: number;
  /** Time that a layer takes before it does anything, in milliseconds. */
  readonly layerMs: number;
}

/**
 * Checks a hardware profile: `{ "name": "npu", "macsPerSecond": { "float": 1e11, "int8": 4e11 }, "bytesPerSecond": 2e10, "layerMs": 0.01 }`.
 * @throws BitwrightError `invalid-data` that names the field.
 */
export function parseProfile(field: Field): HardwareProfile {
  const names = ["name", "macsPerSecond", "bytesPerSecond", "layerMs"] as const;
  const { name, macsPerSecond, bytesPerSecond, layerMs } = field.object(names);
  macsPerSecond.object(Object.keys(formats));
  const peaks = macsPerSecond.entries().map(([format, peak]) => [format, positive(peak)] as const);
  return {
    name: name.text(),
    macsPerSecond: { float: positive(macsPerSecond.at("float")), ...Object.fromEntries(peaks) },
    bytesPerSecond: positive(bytesPerSecond),
    layerMs: layerMs.present ? atLeastZero(layerMs) : 0,
  };
}

function positive(field: Field): number {
  const value = field.number();
  return value > 0 ? value : field.fail("a number above 0");
}

function atLeastZero(field: Field): number {
  const value = field.number();
  return value >= 0 ? value : field.fail("0 or more");
}

/** The latency model that a profile gives a workspace's model, for one sample and all choices that its options allow. */
export async function profileLatency(
  profile: HardwareProfile,
  workspace: Pick<Workspace, "model" | "layers" | "dataset" | "engine">,
  control: Control,
): Promise<LatencyModel> {
  const { layers } = workspace;
  const tensors = layers.flatMap((layer) => [
    ...workTensors(layer),
    ...layer.inputs.map(({ tensor }) => tensor),
    layer.output,
  ]);
  return latencyFromProfile(profile, layers, await sampleShapes(workspace, tensors, control));
}

/**
 * The latency model of a roofline (Williams, Waterman and Patterson, "Roofline", 2009): a layer takes as long as its multiplications at the peak of their
 * format, or as the traffic of its weight, input and output, whichever is longer. Input and output are counted in the layer's activation format;
 * conversions and operators without weights are free.
 * @param shapes - Dimensions of the layers' inputs and outputs for one sample, by tensor.
 */
export function latencyFromProfile(
  profile: HardwareProfile,
  layers: readonly PlannedLayer[],
  shapes: ReadonlyMap<string, readonly number[]>,
): LatencyModel {
  const float: LayerChoice = { weight: "float", activation: "float" };
  const parts = layers.map((layer): LatencyPart => {
    const floatMs = rooflineMs(profile, layer, float, shapes);
    const rows = layer.choices.map((choice) => ({
      kernels: [kernelOf(choice)],
      carried: [],
      extraMs: rooflineMs(profile, layer, choice, shapes) - floatMs,
    }));
    return { layers: [layer.node], neighbours: [], floatMs, rows };
  });
  const kernels = layers.map(({ node, choices }) => {
    return [node, Object.fromEntries(choices.map((choice) => [choiceKey(choice), kernelOf(choice)]))] as const;
  });
  const floatMs = parts.reduce((sum, part) => sum + part.floatMs, 0);
  return {
    profile: profile.name,
    floatMs,
    accountedMs: floatMs,
    kernels: Object.fromEntries(kernels),
    parts,
    borders: [],
    checks: [],
  };
}

/** A profile knows no kernels: every choice has its own time. */
function kernelOf({ weight, activation }: LayerChoice): string {
  return weight === "float" && activation === "float" ? floatKernel : choiceKey({ weight, activation });
}

function rooflineMs(
  { macsPerSecond, bytesPerSecond, layerMs }: HardwareProfile,
  layer: PlannedLayer,
  choice: LayerChoice,
  shapes: ReadonlyMap<string, readonly number[]>,
): number {
  const { weight, activation } = choice;
  const wider = layer.weight !== undefined && formats[weight].bits > formats[activation].bits ? weight : activation;
  const tensors = [...layer.inputs.map(({ tensor }) => tensor), layer.output];
  const elements = tensors.reduce((sum, tensor) => sum + elementsOf(layer, tensor, shapes), 0);
  const traffic = storedTraffic(layer, choice, shapes) + (elements * formats[activation].bits) / 8;
  const computing = layerMacs(layer, shapes) / (macsPerSecond[wider] ?? macsPerSecond.float);
  return layerMs + 1000 * Math.max(computing, traffic / bytesPerSecond);
}

/** Bytes that are read of what a layer stores: of a table the rows that its result has. */
function storedTraffic(
  layer: PlannedLayer,
  choice: LayerChoice,
  shapes: ReadonlyMap<string, readonly number[]>,
): number {
  const stored = layerBytes(layer, choice);
  if (layer.weight === undefined || layer.inputs.length > 0) return stored;
  return stored * Math.min(1, elementsOf(layer, layer.output, shapes) / elementCount(layer.weight.dims));
}

function elementsOf(layer: PlannedLayer, tensor: string, shapes: ReadonlyMap<string, readonly number[]>): number {
  const dims = shapes.get(tensor);
  if (dims !== undefined) return elementCount(dims);
  throw new BitwrightError("invalid-option", `the shape of tensor "${tensor}" is missing`, {
    where: `layer "${layer.node}"`,
  });
}
