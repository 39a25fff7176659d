import type { SessionOptions } from "../export/session-node.js";
import type { LayerChoice } from "../formats.js";
import { type Control, Stage } from "../progress.js";
import type { Tensor } from "../tensor.js";
import { Chain, type ChainPart, type Excerpt, type Joint, type LatencySubject, type Unit } from "./chain.js";
import {
  type Carried,
  combinations,
  type LatencyBorder,
  type LatencyCheck,
  type LatencyModel,
  type LatencyPart,
  predictLatency,
} from "./latency-model.js";
import { type SteadyTime, steadyTimes } from "./steady-times-node.js";

export interface LatencyModelOptions extends SessionOptions, Control {
  /** Parts with more combinations of kernels than this are split where several tensors are open; 16 by default. */
  readonly mostConfigurations?: number;
}

/** Relative to the float model's time: errors of single terms add up as squares over some fifty of them. */
const precision = { ofWhole: 0.001, ofPart: 0.01 };

/**
 * Measures how the latency of a model depends on the choices of its layers. The graph is cut into parts that meet in one tensor, wherever there is
 * one; each is exported in its configurations, between layers that stand in for its neighbours, and timed in onnxruntime on the tensors of a
 * real run, against its float version. What stands in is timed alone and taken off, and with it what a run costs at its start and end.
 * @param valuesOf - Values of tensors in one run, on an input of the size that latency matters for.
 * @throws BitwrightError `runtime-missing`, `aborted`.
 */
export async function measureLatencyModel(
  subject: LatencySubject,
  valuesOf: (tensors: readonly string[]) => Promise<ReadonlyMap<string, Tensor>>,
  options: LatencyModelOptions = {},
): Promise<LatencyModel> {
  const chain = new Chain(subject, options.mostConfigurations);
  const values = await valuesOf(chain.tensors);
  const steps = 2 * chain.parts.length - 1;
  const stage = new Stage(options, "time parts", steps + 2);
  const whole = chain.excerpt(subject.model.graph.node, values);
  const [float] = await steadyTimes([{ model: whole.export(new Map()), feeds: whole.feeds }], {
    ...options,
    precisionMs: 0,
    relativePrecision: precision.ofPart / 2,
  });
  const floatMs = float!.ms;
  const laboratory = new Laboratory(options, floatMs);
  stage.step();
  const start = performance.now();
  let done = 0;
  const step = () => {
    const left = ((performance.now() - start) / ++done) * (steps - done);
    stage.step(`about ${Math.ceil(left / 1000)} s left`);
  };
  const joints = chain.parts.slice(1).map((after, i) => chain.joint(chain.parts[i]!, after, values));
  const parts: LatencyPart[] = [];
  for (const [i, part] of chain.parts.entries()) {
    parts.push(await timePart(chain, part, [joints[i - 1], joints[i]], values, laboratory));
    step();
  }
  const borders: LatencyBorder[] = [];
  for (const joint of joints) {
    if (joint.standIns.length > 0) borders.push(await timeBorder(chain, joint, values, laboratory));
    step();
  }
  const model = modelOf(chain, floatMs, parts, borders);
  const checks = await timeChecks(chain, model, whole, options);
  stage.step();
  return { ...model, checks };
}

const mostScale = 2;

/** The measured parts and borders, scaled so that their float times add up to the whole model's. */
function modelOf(
  chain: Chain,
  floatMs: number,
  parts: readonly LatencyPart[],
  borders: readonly LatencyBorder[],
): LatencyModel {
  const accountedMs = [...parts, ...borders].reduce((sum, part) => sum + part.floatMs, 0);
  // Of a model that takes hardly longer than a run's start and end, what is left of the parts is mostly noise.
  const scale = accountedMs > 0 ? Math.min(Math.max(floatMs / accountedMs, 1 / mostScale), mostScale) : 1;
  return {
    floatMs,
    accountedMs,
    kernels: chain.kernels,
    parts: parts.map((part) => ({
      ...part,
      floatMs: part.floatMs * scale,
      rows: part.rows.map((row) => ({ ...row, extraMs: row.extraMs * scale })),
    })),
    borders: borders.map((border) => ({
      ...border,
      floatMs: border.floatMs * scale,
      rows: border.rows.map((row) => ({ ...row, extraMs: row.extraMs * scale })),
    })),
    checks: [],
  };
}

/** Times the whole model with all parts on integer kernels, with every second one, with the first half and with the second. */
async function timeChecks(
  chain: Chain,
  model: LatencyModel,
  whole: Excerpt,
  options: LatencyModelOptions,
): Promise<LatencyCheck[]> {
  const half = chain.parts.length / 2;
  const patterns = [() => true, (i: number) => i % 2 === 1, (i: number) => i < half, (i: number) => i >= half];
  const configurations = patterns
    .map((takes) => chain.onCodes(chain.parts.filter((_, i) => takes(i)).flatMap(({ units }) => units)))
    .filter(({ size }) => size > 0);
  const checks: LatencyCheck[] = [];
  for (const choices of configurations) {
    const pair = [new Map(), choices].map((own) => ({ model: whole.export(own), feeds: whole.feeds }));
    const [float, own] = await steadyTimes(pair, {
      ...options,
      precisionMs: 0,
      relativePrecision: precision.ofPart / 2,
    });
    checks.push({
      integerLayers: choices.size,
      measuredMs: (own!.ms / float!.ms) * model.floatMs,
      predictedMs: predictLatency(model, choices),
    });
  }
  return checks;
}

/** Times excerpts, each kind once. */
class Laboratory {
  readonly #options: LatencyModelOptions;
  readonly #floatMs: number;
  readonly #known = new Map<string, SteadyTime[]>();

  constructor(options: LatencyModelOptions, floatMs: number) {
    this.#options = options;
    this.#floatMs = floatMs;
  }

  /** @param configurations - The first is what the others are compared with. */
  async time(
    { signature, feeds, export: write }: Excerpt,
    configurations: readonly ReadonlyMap<string, LayerChoice>[],
    key: string,
  ): Promise<SteadyTime[]> {
    const known = this.#known.get(`${key}\n${signature}`);
    if (known !== undefined) return known;
    const times = await steadyTimes(
      configurations.map((choices) => ({ model: write(choices), feeds })),
      {
        ...this.#options,
        precisionMs: precision.ofWhole * this.#floatMs,
        relativePrecision: precision.ofPart,
      },
    );
    this.#known.set(`${key}\n${signature}`, times);
    return times;
  }
}

/** A layer that others stand in for. */
interface Neighbour {
  readonly layer: string;
  readonly standIns: readonly string[];
}

/** What the stand-ins of a joint stand in for, on one side of it; nothing where that carries floats in any case, as they do then. */
function neighbourOf(layer: string | undefined, joint: Joint | undefined, side: "source" | "sink"): Neighbour[] {
  if (joint === undefined || layer === undefined) return [];
  return [{ layer, standIns: joint.standIns.map((standIn) => standIn[side]) }];
}

/** Every combination of what neighbours carry, all float first. */
function carriedBySome(neighbours: readonly Neighbour[]): Carried[][] {
  return [...combinations(neighbours.map(() => 2))].map((codes) =>
    codes.map((code): Carried => (code === 0 ? "float" : "codes")),
  );
}

async function timePart(
  chain: Chain,
  { nodes, layers, units }: ChainPart,
  [entry, exit]: readonly [Joint | undefined, Joint | undefined],
  values: ReadonlyMap<string, Tensor>,
  laboratory: Laboratory,
): Promise<LatencyPart> {
  const neighbours = [...neighbourOf(entry?.giver, entry, "source"), ...neighbourOf(exit?.taker, exit, "sink")];
  const rows = [...combinations(units.map(({ options }) => options.length))].flatMap((choice) => {
    const own = choicesOf(units, choice);
    return carriedBySome(neighbours).map((carried) => ({
      own,
      carried,
      choices: new Map([...own, ...choicesOfStandIns(chain, neighbours, carried)]),
    }));
  });
  const times = await laboratory.time(
    chain.excerpt(nodes, values, entry?.standIns, exit?.standIns),
    rows.map(({ choices }) => choices),
    `${positions(layers, units)} ${entry?.giver !== undefined} ${exit?.taker !== undefined}`,
  );
  return {
    layers,
    neighbours: neighbours.map(({ layer }) => layer),
    floatMs: times[0]!.ms,
    rows: rows.map(({ own, carried }, i) => ({
      kernels: layers.map((layer) => chain.kernel(layer, own.get(layer)!)),
      carried,
      extraMs: times[i]!.extraMs,
    })),
  };
}

async function timeBorder(
  chain: Chain,
  joint: Joint,
  values: ReadonlyMap<string, Tensor>,
  laboratory: Laboratory,
): Promise<LatencyBorder> {
  const neighbours = [...neighbourOf(joint.giver, joint, "source"), ...neighbourOf(joint.taker, joint, "sink")];
  const rows = carriedBySome(neighbours);
  const times = await laboratory.time(
    chain.excerpt([], values, joint.standIns, joint.standIns),
    rows.map((carried) => choicesOfStandIns(chain, neighbours, carried)),
    `${joint.giver !== undefined} ${joint.taker !== undefined}`,
  );
  return {
    tensors: joint.tensors,
    neighbours: neighbours.map(({ layer }) => layer),
    floatMs: -times[0]!.ms,
    rows: rows.map((carried, i) => ({ carried, extraMs: -times[i]!.extraMs })),
  };
}

function choicesOf(units: readonly Unit[], choice: readonly number[]): Map<string, LayerChoice> {
  return new Map(
    units.flatMap(({ layers, options }, u) => layers.map((layer) => [layer, options[choice[u]!]!] as const)),
  );
}

function choicesOfStandIns(
  chain: Chain,
  neighbours: readonly Neighbour[],
  carried: readonly Carried[],
): Map<string, LayerChoice> {
  return new Map(
    neighbours.flatMap(({ standIns }, i) => standIns.map((name) => [name, chain.choiceThatCarries(carried[i]!)])),
  );
}

/** Which layers go together, whatever their names. */
function positions(layers: readonly string[], units: readonly Unit[]): string {
  return units.map((unit) => `${unit.layers.map((layer) => layers.indexOf(layer))}x${unit.options.length}`).join(" ");
}
