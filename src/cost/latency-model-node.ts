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
  const start = performance.now();
  const step = () => {
    const done = parts.length + borders.length;
    const left = ((performance.now() - start) / done) * (2 * chain.parts.length - 1 - done);
    stage.step(`about ${Math.ceil(left / 1000)} s left`);
  };
  const parts: LatencyPart[] = [];
  const borders: LatencyBorder[] = [];
  for (const part of chain.parts) {
    parts.push(await timePart(chain, part, chain.excerpt(part.nodes, values), laboratory, options));
    step();
  }
  for (const [i, after] of chain.parts.entries()) {
    if (i === 0) continue;
    const before = chain.parts[i - 1]!;
    const excerpt = chain.excerpt([...before.nodes, ...after.nodes], values);
    borders.push(await timeBorder(chain, [before, after], [parts[i - 1]!, parts[i]!], excerpt, laboratory));
    step();
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

/** What a border adds: the time of both parts together, less their own times. */
async function timeBorder(
  chain: Chain,
  parts: readonly [ChainPart, ChainPart],
  measured: readonly [LatencyPart, LatencyPart],
  excerpt: Excerpt,
  laboratory: Laboratory,
): Promise<LatencyBorder> {
  const tensor = parts[0].cut!;
  const sides = sidesOf(chain.layersBefore(parts[0]), chain.layersAfter(parts[1], tensor));
  const rows = [...combinations(sides.map((side) => (canCarryCodes(chain, parts, side) ? 2 : 1)))].map((codes) => {
    const carried = codes.map((code): Carried => (code === 1 ? "codes" : "float"));
    return { carried, choices: choicesThatCarry(chain, parts, sides, carried) };
  });
  const times = await laboratory.time(
    excerpt,
    rows.map(({ choices }) => choices),
    `border ${parts.map(({ layers, units }) => positions(layers, units)).join(" | ")}`,
  );
  return {
    tensor,
    sides,
    floatMs: times[0]!.ms - measured[0].floatMs - measured[1].floatMs,
    rows: rows.map(({ carried, choices }, i): BorderRow => {
      const own = extraOf(chain, measured[0], choices) + extraOf(chain, measured[1], choices);
      return { carried, extraMs: times[i]!.extraMs - own };
    }),
  };
}

/** More layers than this at a border are taken together on either side. */
const mostSides = 5;

function sidesOf(before: readonly string[], after: readonly string[]): string[][] {
  const sides =
    before.length + after.length > mostSides ? [before, after] : [...before, ...after].map((layer) => [layer]);
  return sides.filter((side) => side.length > 0).map((side) => [...side]);
}

function canCarryCodes(chain: Chain, parts: readonly ChainPart[], side: readonly string[]): boolean {
  return parts.some(({ units }) =>
    units.some(({ layers, options }) =>
      layers.some(
        (layer) => side.includes(layer) && options.some((option) => carries(chain, layer, option) === "codes"),
      ),
    ),
  );
}

/** Choices that let the sides carry what is said, and the other layers of a part what its first side does. */
function choicesThatCarry(
  chain: Chain,
  parts: readonly ChainPart[],
  sides: readonly (readonly string[])[],
  carried: readonly Carried[],
): Map<string, LayerChoice> {
  return new Map(
    parts.flatMap(({ units, layers: all }) =>
      units.flatMap(({ layers, options }) => {
        const own = sides.findIndex((side) => side.some((layer) => layers.includes(layer)));
        const first = sides.findIndex((side) => side.some((layer) => all.includes(layer)));
        const wanted = carried[own < 0 ? first : own] ?? "float";
        const choice = options.find((option) => carries(chain, layers[0]!, option) === wanted) ?? options[0]!;
        return layers.map((layer) => [layer, choice] as const);
      }),
    ),
  );
}

function carries(chain: Chain, layer: string, choice: LayerChoice): Carried {
  return carriedBy(chain.kernel(layer, choice));
}

function extraOf(chain: Chain, { tables }: LatencyPart, choices: ReadonlyMap<string, LayerChoice>): number {
  return tables.reduce((sum, { layers, rows }) => {
    const kernels = layers.map((layer) => chain.kernel(layer, choices.get(layer)!));
    return sum + rows.find((row) => row.kernels.every((kernel, i) => kernel === kernels[i]))!.extraMs;
  }, 0);
}
