import type { Range } from "../export/layout.js";
import { exportModel } from "../export/qdq.js";
import type { SessionOptions } from "../export/session-node.js";
import type { PlannedLayer, Target } from "../export/targets/target.js";
import type { LayerChoice } from "../formats.js";
import { type OnnxModel, writeModel } from "../onnx/model.js";
import type { Feeds } from "../tensor.js";
import { type Latency, measureLatency } from "./latency-node.js";

export interface IntegerStartOptions extends SessionOptions {
  /** How many leading layers may stay on float kernels; 6 by default. */
  readonly deepest?: number;
  readonly repeats?: number;
  readonly signal?: AbortSignal;
}

export interface IntegerStart {
  /** The leading layers that this machine clearly runs faster on float kernels. */
  readonly floatLayers: readonly string[];
  /** Latency with the first 0, 1, 2, ... layers on float kernels and all others on integer ones. */
  readonly latencies: readonly Latency[];
}

/**
 * Measures from which layer on integer kernels pay. The first convolutions of a network have few channels and many positions, the worst
 * case for integer kernels that work channels last, and a border to float costs least in front of everything. What these
 * layers are is a matter of the machine, so whole models that differ in the start alone are timed against each other.
 * @param model - A cleaned model.
 * @param feeds - A typical input, of the batch size that latency matters for.
 * @throws BitwrightError `runtime-missing`; the signal's reason when it fires.
 */
export async function findIntegerStart(
  model: OnnxModel,
  target: Target,
  ranges: ReadonlyMap<string, Range>,
  feeds: Feeds,
  options: IntegerStartOptions = {},
): Promise<IntegerStart> {
  const { deepest = 6, ...latencyOptions } = options;
  const layers = target.layers(model).filter((layer) => integerChoice(layer) !== undefined);
  const candidates = Array.from({ length: Math.min(deepest, layers.length) + 1 }, (_, start) => ({
    name: `${start}`,
    model: writeModel(exportModel(model, target.layout(model, integerFrom(layers, start), ranges))),
  }));
  const latencies = await measureLatency(candidates, feeds, latencyOptions);
  const start = clearlyFastest(latencies.map(({ ratio }) => ratio));
  return { floatLayers: layers.slice(0, start).map(({ node }) => node), latencies };
}

/** Differences below this share are left to chance by a measurement of a few seconds; a plan should not depend on them. */
const noise = 0.03;

/** The first place where a time is not clearly above the least. */
export function clearlyFastest(times: readonly number[]): number {
  const least = Math.min(...times);
  return times.findIndex((time) => time <= least * (1 + noise));
}

function integerFrom(layers: readonly PlannedLayer[], start: number): Map<string, LayerChoice> {
  return new Map(
    layers.slice(start).flatMap((layer) => {
      const integer = integerChoice(layer);
      return integer === undefined ? [] : [[layer.node, integer] as const];
    }),
  );
}

function integerChoice({ choices }: PlannedLayer): LayerChoice | undefined {
  return choices.find(({ weight, activation }) => weight === "int8" && activation === "int8");
}
