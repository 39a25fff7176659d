import type { SessionOptions } from "../export/session-node.js";
import type { LayerChoice } from "../formats.js";
import { type Control, Stage } from "../progress.js";
import type { Tensor } from "../tensor.js";
import { Chain, type ChainPart, type Excerpt, type LatencySubject, type Unit } from "./chain.js";
import {
  type BorderRow,
  type Carried,
  carriedBy,
  combinations,
  type LatencyBorder,
  type LatencyModel,
  type LatencyPart,
  type LatencyTable,
} from "./latency-model.js";
import { type SteadyTime, steadyTimes } from "./steady-times-node.js";

export interface LatencyModelOptions extends SessionOptions, Control {
  /** A part with more combinations of kernels than this is timed layer by layer; 64 by default. */
  readonly mostCombinations?: number;
}

/** Relative to the float model's time: errors of single terms add up as squares over some fifty of them. */
const precision = { ofWhole: 0.001, ofPart: 0.01 };

/**
 * Measures how the latency of a model depends on the choices of its layers. The graph is cut into parts that meet in one tensor; each is exported in
 * its configurations and timed in onnxruntime on the tensors of a real run, against its float version. Neighbours are timed together on float and
 * on other kernels, which gives what conversions between them cost.
 * @param valuesOf - Values of tensors in one run, on an input of the size that latency matters for.
 * @throws BitwrightError `runtime-missing`, `aborted`.
 */
export async function measureLatencyModel(
  subject: LatencySubject,
  valuesOf: (tensors: readonly string[]) => Promise<ReadonlyMap<string, Tensor>>,
  options: LatencyModelOptions = {},
): Promise<LatencyModel> {
  const chain = new Chain(subject);
  const values = await valuesOf(chain.tensors);
  const stage = new Stage(options, "time parts", 2 * chain.parts.length);
  const whole = chain.excerpt(subject.model.graph.node, values);
  const [float] = await steadyTimes([{ model: whole.export(new Map()), feeds: whole.feeds }], {
    ...options,
    precisionMs: 0,
    relativePrecision: precision.ofPart / 2,
  });
  const floatMs = float!.ms;
  const laboratory = new Laboratory(options, floatMs);
  stage.step();
  const parts: LatencyPart[] = [];
  for (const part of chain.parts) {
    parts.push(await timePart(chain, part, chain.excerpt(part.nodes, values), laboratory, options));
    stage.step();
  }
  const borders: LatencyBorder[] = [];
  for (const [i, after] of chain.parts.entries()) {
    if (i === 0) continue;
    const before = chain.parts[i - 1]!;
    const excerpt = chain.excerpt([...before.nodes, ...after.nodes], values);
    borders.push(await timeBorder(chain, [before, after], [parts[i - 1]!, parts[i]!], excerpt, laboratory));
    stage.step();
  }
  const accounted = [...parts, ...borders].reduce((sum, part) => sum + part.floatMs, 0);
  return { floatMs, fixedMs: floatMs - accounted, kernels: chain.kernels, parts, borders };
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

/** An option for each unit of a part. */
type Configuration = readonly number[];

async function timePart(
  chain: Chain,
  { layers, units }: ChainPart,
  excerpt: Excerpt,
  laboratory: Laboratory,
  { mostCombinations = 64 }: LatencyModelOptions,
): Promise<LatencyPart> {
  const counts = units.map(({ options }) => options.length);
  const enumerable = counts.reduce((product, count) => product * count, 1) <= mostCombinations;
  const configurations = enumerable ? [...combinations(counts)] : oneByOne(counts);
  const times = await laboratory.time(
    excerpt,
    configurations.map((configuration) => choicesOf(units, configuration)),
    positions(layers, units),
  );
  const extra = new Map(configurations.map((configuration, i) => [configuration.join(), times[i]!.extraMs]));
  const extraOf = (configuration: Configuration) => extra.get(configuration.join())!;
  const tables = enumerable
    ? [tableOf(chain, layers, units, configurations, extraOf)]
    : units.map((unit, u) => {
        const rows = unit.options.map((_, option) => [option]);
        return tableOf(chain, unit.layers, [unit], rows, ([option]) => ownExtra(counts, u, option!, extraOf));
      });
  return { layers, floatMs: times[0]!.ms, measured: enumerable ? "configurations" : "layers", tables };
}

function tableOf(
  chain: Chain,
  layers: readonly string[],
  units: readonly Unit[],
  configurations: readonly Configuration[],
  extraOf: (configuration: Configuration) => number,
): LatencyTable {
  return {
    layers,
    rows: configurations.map((configuration) => {
      const choices = choicesOf(units, configuration);
      return {
        kernels: layers.map((layer) => chain.kernel(layer, choices.get(layer)!)),
        extraMs: extraOf(configuration),
      };
    }),
  };
}

function choicesOf(units: readonly Unit[], configuration: Configuration): Map<string, LayerChoice> {
  return new Map(
    units.flatMap(({ layers, options }, u) => layers.map((layer) => [layer, options[configuration[u]!]!] as const)),
  );
}

/** Which layers go together, whatever their names. */
function positions(layers: readonly string[], units: readonly Unit[]): string {
  return units.map((unit) => `${unit.layers.map((layer) => layers.indexOf(layer))}x${unit.options.length}`).join(" ");
}

/** All units on their first option, all on their last, and each on every other option beside these. */
function oneByOne(counts: readonly number[]): Configuration[] {
  const first = counts.map(() => 0);
  const last = counts.map((count) => count - 1);
  const all = [first, last];
  for (const [u, count] of counts.entries()) {
    for (let option = 0; option < count; option++) all.push(first.with(u, option), last.with(u, option));
  }
  return [...new Map(all.map((configuration) => [configuration.join(), configuration])).values()];
}

/** What a unit's option adds, as the mean of both surroundings. */
function ownExtra(
  counts: readonly number[],
  unit: number,
  option: number,
  extraOf: (configuration: Configuration) => number,
): number {
  const first = counts.map(() => 0);
  const last = counts.map((count) => count - 1);
  const amongFirst = extraOf(first.with(unit, option)) - extraOf(first);
  const amongLast = extraOf(last.with(unit, option)) - extraOf(last.with(unit, 0));
  return (amongFirst + amongLast) / 2;
}

/**
 * What a border adds: time of both parts together, less their own times.
 */
async function timeBorder(
  chain: Chain,
  parts: readonly [ChainPart, ChainPart],
  measured: readonly [LatencyPart, LatencyPart],
  excerpt: Excerpt,
  laboratory: Laboratory,
): Promise<LatencyBorder> {
  const [first, second] = parts.map((part) => uniformChoices(chain, part)) as [Uniform[], Uniform[]];
  const pairs = first.flatMap((before) => second.map((after) => ({ before, after })));
  const times = await laboratory.time(
    excerpt,
    pairs.map(({ before, after }) => new Map([...before.choices, ...after.choices])),
    `border ${parts.map(({ layers, units }) => positions(layers, units)).join(" | ")}`,
  );
  const tensor = parts[0].cut!;
  return {
    tensor,
    before: chain.layersBefore(parts[0]),
    after: chain.layersAfter(parts[1], tensor),
    floatMs: times[0]!.ms - measured[0].floatMs - measured[1].floatMs,
    rows: pairs.map(({ before, after }, i): BorderRow => {
      const own = extraOf(chain, measured[0], before.choices) + extraOf(chain, measured[1], after.choices);
      return { before: before.carries, after: after.carries, extraMs: times[i]!.extraMs - own };
    }),
  };
}

/** Choices that bring all layers of a part to carry the same, as far as they can. */
interface Uniform {
  readonly carries: Carried;
  readonly choices: ReadonlyMap<string, LayerChoice>;
}

/** Float first; codes where a layer can. */
function uniformChoices(chain: Chain, { units }: ChainPart): Uniform[] {
  const choicesFor = (carries: Carried) =>
    units.flatMap(({ layers, options }) => {
      const choice = options.find((option) => carriedBy(chain.kernel(layers[0]!, option)) === carries);
      return layers.map((layer) => [layer, choice ?? options[0]!] as const);
    });
  const float = new Map(choicesFor("float"));
  const codes = new Map(choicesFor("codes"));
  const differs = [...codes].some(([layer, choice]) => float.get(layer) !== choice);
  const uniform: Uniform[] = [{ carries: "float", choices: float }];
  return differs ? [...uniform, { carries: "codes", choices: codes }] : uniform;
}

function extraOf(chain: Chain, { tables }: LatencyPart, choices: ReadonlyMap<string, LayerChoice>): number {
  return tables.reduce((sum, { layers, rows }) => {
    const kernels = layers.map((layer) => chain.kernel(layer, choices.get(layer)!));
    return sum + rows.find((row) => row.kernels.every((kernel, i) => kernel === kernels[i]))!.extraMs;
  }, 0);
}
