import { BitwrightError } from "../errors.js";
import { choiceKey, type LayerChoice } from "../formats.js";
import type { LayerGroup } from "../groups.js";
import { quantile } from "../quantile.js";
import type { Factor, Resource } from "../search/problem.js";

/** The time of a model in any configuration, as a sum over parts that run one after another. Saved with the analysis. */
export interface LatencyModel {
  /** Name of the hardware profile that the times were computed from; absent where they were measured on this machine. */
  readonly profile?: string;
  /** Time of the float model, in milliseconds; what configurations change is added to it. */
  readonly floatMs: number;
  /**
   * What the float times of parts and borders added up to when they were measured. They are scaled to `floatMs`, by at most two: load of the machine changes from
   * one measurement to the next, and hits a part's float version as it hits the others.
   */
  readonly accountedMs: number;
  /** The kernel that the engine runs a layer on, by choice (`choiceKey`). Choices with the same kernel take the same time. */
  readonly kernels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly parts: readonly LatencyPart[];
  readonly borders: readonly LatencyBorder[];
  /** Whole configurations that were timed to hold the predictions against; none where nothing was measured. */
  readonly checks: readonly LatencyCheck[];
}

/** A whole configuration with the layers of some parts on integer kernels. */
export interface LatencyCheck {
  readonly integerLayers: number;
  readonly measuredMs: number;
  readonly predictedMs: number;
}

/** Nodes that were timed as a model of their own, between layers that stand in for their neighbours. */
export interface LatencyPart {
  /** In graph order. */
  readonly layers: readonly string[];
  /** The layer in front whose result enters, and the layer behind that takes what leaves, where there are such. */
  readonly neighbours: readonly string[];
  readonly floatMs: number;
  /** Every combination of kernels that choices lead to, and of what the neighbours carry; all float first. */
  readonly rows: readonly PartRow[];
}

export interface PartRow {
  /** Of each layer. */
  readonly kernels: readonly string[];
  /** By each neighbour. */
  readonly carried: readonly Carried[];
  /** What they add to the time of the float model, in milliseconds; negative when faster. */
  readonly extraMs: number;
}

/** Where two parts meet: what stands in for their neighbours was timed with both, and is taken off. */
export interface LatencyBorder {
  /** What crosses it: one tensor, except where too large a part was split. */
  readonly tensors: readonly string[];
  /** The layer whose result crosses it, and the layer that takes it, where there are such. */
  readonly neighbours: readonly string[];
  /** Negative. */
  readonly floatMs: number;
  /** Every combination. */
  readonly rows: readonly BorderRow[];
}

export interface BorderRow {
  /** By each neighbour. */
  readonly carried: readonly Carried[];
  /** What it adds to the time of the float model and of the parts. */
  readonly extraMs: number;
}

/** What a layer takes and gives: codes on integer kernels, floats on all others. */
export type Carried = "float" | "codes";

/** The kernel that every engine has for every layer. */
export const floatKernel = "float";

export function carriedBy(kernel: string): Carried {
  return kernel === "integer" ? "codes" : "float";
}

function kernelOfChoice({ kernels }: LatencyModel, layer: string, choice: LayerChoice): string {
  return kernels[layer]?.[choiceKey(choice)] ?? missing([layer], [choiceKey(choice)]);
}

function missing(layers: readonly string[], kernels: readonly string[]): never {
  throw new BitwrightError("invalid-data", "the latency model lacks a configuration", {
    where: `layers ${layers.join(", ")}`,
    received: kernels.join(", "),
    remedy: "Measure it again with the formats that are searched",
  });
}

/** A function of the kernels of a few layers. */
interface Term {
  readonly layers: readonly string[];
  ms(kernels: readonly string[]): number;
}

function termsOf({ parts, borders }: LatencyModel): Term[] {
  const rowless = borders.map((border) => ({
    layers: [],
    neighbours: border.neighbours,
    rows: border.rows.map((row) => ({ ...row, kernels: [] })),
  }));
  return [...parts, ...rowless].map(({ layers, neighbours, rows }) => {
    const times = new Map(rows.map(({ kernels, carried, extraMs }) => [[...kernels, ...carried].join("\n"), extraMs]));
    const all = [...layers, ...neighbours];
    return {
      layers: all,
      ms(kernels) {
        const key = kernels.map((kernel, i) => (i < layers.length ? kernel : carriedBy(kernel))).join("\n");
        return times.get(key) ?? missing(all, kernels);
      },
    };
  });
}

/**
 * Time of a configuration, in milliseconds.
 * @param choices - By layer; layers without one stay float.
 * @throws BitwrightError `invalid-data` when the model was measured without these choices.
 */
export function predictLatency(model: LatencyModel, choices: ReadonlyMap<string, LayerChoice>): number {
  return timeOn(model, (layer) => {
    const choice = choices.get(layer);
    return choice === undefined ? floatKernel : kernelOfChoice(model, layer, choice);
  });
}

function timeOn(model: LatencyModel, kernelOf: (layer: string) => string): number {
  return termsOf(model).reduce((sum, { layers, ms }) => sum + ms(layers.map(kernelOf)), model.floatMs);
}

/** The typical error of a model's predictions of whole configurations, as a share; undefined when none was checked. */
export function typicalError({ checks }: LatencyModel): number | undefined {
  if (checks.length === 0) return undefined;
  return quantile(
    checks.map(({ measuredMs, predictedMs }) => Math.abs(predictedMs / measuredMs - 1)),
    0.5,
  );
}

/** Typical error, as a share, above which times are not worth searching by. */
export const mostLatencyError = 0.15;

/** Whether a model's own checks speak for its predictions; one without checks is taken at its word. */
export function isTrusted(model: LatencyModel): boolean {
  return (typicalError(model) ?? 0) <= mostLatencyError;
}

/** What a part's layers gain on integer kernels, in milliseconds; negative where they lose. */
export interface PartGain {
  readonly layers: readonly string[];
  /** In a model that is float otherwise. */
  readonly amongFloatMs: number;
  /** In a model that is on integer kernels otherwise. */
  readonly amongIntegerMs: number;
}

/** What each part gains on integer kernels, as far as its layers have them. */
export function partGains(model: LatencyModel): PartGain[] {
  const integer = (layer: string) =>
    Object.values(model.kernels[layer]!).find((kernel) => carriedBy(kernel) === "codes") ?? floatKernel;
  const allInteger = timeOn(model, integer);
  return model.parts.map(({ layers }) => ({
    layers,
    amongFloatMs: model.floatMs - timeOn(model, (layer) => (layers.includes(layer) ? integer(layer) : floatKernel)),
    amongIntegerMs: timeOn(model, (layer) => (layers.includes(layer) ? floatKernel : integer(layer))) - allInteger,
  }));
}

/**
 * Time as a resource of a search: the model's terms over the choices of its groups.
 * @param groups - Of the same model; their choices are among those that were measured.
 */
export function latencyResource(model: LatencyModel, groups: readonly LayerGroup[]): Resource {
  const groupOf = new Map(groups.flatMap(({ layers }, g) => layers.map(({ node }) => [node, g] as const)));
  const factors = termsOf(model).map(({ layers, ms }): Factor => {
    const members = [...new Set(layers.map((layer) => groupOf.get(layer)!))];
    const positions = layers.map((layer) => members.indexOf(groupOf.get(layer)!));
    const assignments = combinations(members.map((g) => groups[g]!.choices.length));
    const values = Float64Array.from(assignments, (assignment) =>
      ms(
        layers.map((layer, i) => {
          const member = positions[i]!;
          return kernelOfChoice(model, layer, groups[members[member]!]!.choices[assignment[member]!]!);
        }),
      ),
    );
    return { groups: members, values };
  });
  return { name: "latencyMs", fixed: model.floatMs, factors };
}

/** Every combination of one number below each count, the last fastest. */
export function* combinations(counts: readonly number[]): Generator<readonly number[]> {
  const [first, ...others] = counts;
  if (first === undefined) {
    yield [];
    return;
  }
  for (let i = 0; i < first; i++) for (const rest of combinations(others)) yield [i, ...rest];
}
