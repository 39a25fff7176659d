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
  partMs,
} from "./latency-model.js";
import { type SteadyTime, steadyTimes } from "./steady-times-node.js";

export interface LatencyModelOptions extends SessionOptions, Control {
  /** Parts with more combinations of kernels than this are split where several tensors are open; 64 by default. */
  readonly mostConfigurations?: number;
}

/** Relative to the float model's time: errors of single terms add up as squares over some fifty of them. */
const precision = { ofWhole: 0.001, ofPart: 0.01 };

/**
 * Measures how the latency of a model depends on the choices of its layers. The graph is cut into parts that meet in one tensor, wherever there is one; each is exported in
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
  const chain = new Chain(subject, options.mostConfigurations);
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
    parts.push(await timePart(chain, part, chain.excerpt(part.nodes, values), laboratory));
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

async function timePart(
  chain: Chain,
  { layers, units }: ChainPart,
  excerpt: Excerpt,
  laboratory: Laboratory,
): Promise<LatencyPart> {
  const configurations = [...combinations(units.map(({ options }) => options.length))].map((configuration) =>
    choicesOf(units, configuration),
  );
  const times = await laboratory.time(excerpt, configurations, positions(layers, units));
  return {
    layers,
    floatMs: times[0]!.ms,
    rows: configurations.map((choices, i) => ({
      kernels: layers.map((layer) => chain.kernel(layer, choices.get(layer)!)),
      extraMs: times[i]!.extraMs,
    })),
  };
}

function choicesOf(units: readonly Unit[], configuration: readonly number[]): Map<string, LayerChoice> {
  return new Map(
    units.flatMap(({ layers, options }, u) => layers.map((layer) => [layer, options[configuration[u]!]!] as const)),
  );
}

/** Which layers go together, whatever their names. */
function positions(layers: readonly string[], units: readonly Unit[]): string {
  return units.map((unit) => `${unit.layers.map((layer) => layers.indexOf(layer))}x${unit.options.length}`).join(" ");
}

/** What a border adds: the time of both parts together, less their own times. */
async function timeBorder(
  chain: Chain,
  parts: readonly [ChainPart, ChainPart],
  measured: readonly [LatencyPart, LatencyPart],
  excerpt: Excerpt,
  laboratory: Laboratory,
): Promise<LatencyBorder> {
  const tensors = parts[0].cuts;
  const sides = sidesOf(chain.layersBefore(parts[0]), chain.layersAfter(parts[1], tensors));
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
    tensors,
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

function extraOf(chain: Chain, part: LatencyPart, choices: ReadonlyMap<string, LayerChoice>): number {
  return partMs(
    part,
    part.layers.map((layer) => chain.kernel(layer, choices.get(layer)!)),
  );
}
