import type { Format } from "../../../src/formats.js";
import { uniformNumbers } from "../../../src/random.js";
import type { Assignment, Factor, Resource, SearchGroup, SearchProblem } from "../../../src/search/problem.js";
import { choiceOffsets, excessOf, predictedLoss, usedOf } from "../../../src/search/score.js";

export interface Options {
  readonly seed?: number;
  readonly groups?: number;
  readonly formats?: readonly Format[];
  /** Largest true loss; no band without it. */
  readonly budget?: number;
  /** Share of the float model's use that is allowed, by resource. */
  readonly limits?: { readonly bytes?: number; readonly latencyMs?: number; readonly macs?: number };
  readonly minimize?: "bytes" | "latencyMs";
  /** Share by which predictions may miss the truth. */
  readonly noise?: number;
  readonly equalSizes?: boolean;
  /** Correlation of errors of different groups; no interactions without it. */
  readonly correlation?: number;
  /** Whether time depends on neighbours as well: a term for each border, and one for three groups at once. */
  readonly borders?: boolean;
}

export interface Problem extends SearchProblem {
  readonly evaluated: Assignment[];
}

/** A problem whose true loss is what it predicts, give or take the noise. The same seed gives the same problem. */
export function randomProblem(options: Options = {}): Problem {
  const { seed = 1, groups: count = 6, formats = ["int8", "int4"], budget, limits = {}, noise = 0 } = options;
  const next = uniformNumbers(seed);
  const all: Format[] = ["float", ...formats];
  const sizes = Array.from({ length: count }, () => (options.equalSizes ? 1000 : Math.round(200 + 1800 * next())));
  const truths = sizes.map(() => {
    let cost = 0;
    return all.map((format) => {
      if (format !== "float") cost += 0.1 + next();
      return cost;
    });
  });
  const groups = truths.map(
    (costs, g): SearchGroup => ({
      id: `group ${g}`,
      layers: [`layer ${g}`],
      sensitivity: costs.at(-1)! / sizes[g]!,
      choices: all.map((format, c) => ({
        choice: { weight: format, activation: format === "float" ? "float" : "int8" },
        cost: costs[c]! * (1 + noise * (2 * next() - 1)),
      })),
    }),
  );
  const interactions =
    options.correlation === undefined ? undefined : interactionsOf(groups, options.correlation, next);
  const unary = (name: Resource["name"], value: (size: number, c: number) => number): Resource => ({
    name,
    fixed: 500,
    factors: sizes.map((size, g) => ({ groups: [g], values: Float64Array.from(all, (_, c) => value(size, c)) })),
  });
  const time = unary("latencyMs", (size, c) => (size * (c === 0 ? 1 : 0.3 + next())) / 1000);
  const resources = [
    unary("bytes", (size, c) => Math.round(size / 2 ** c)),
    options.borders ? { ...time, factors: [...time.factors, ...bordersOf(count, all.length, next)] } : time,
    unary("macs", (size, c) => size * (c === 0 ? 1 : 0.25) * (0.5 + next())),
  ].map((resource): Resource => {
    const share = limits[resource.name];
    const float = usedOf(
      groups,
      resource,
      groups.map(() => 0),
    );
    return share === undefined ? resource : { ...resource, limit: share * float };
  });
  const truth = {
    groups: groups.map((group, g) => ({
      ...group,
      choices: group.choices.map((choice, c) => ({ ...choice, cost: truths[g]![c]! })),
    })),
    resources,
    ...(interactions !== undefined && { interactions }),
  };
  const evaluated: Assignment[] = [];
  return {
    groups,
    ...(interactions !== undefined && { interactions }),
    resources,
    minimize: options.minimize ?? "bytes",
    band: budget !== undefined,
    seed,
    evaluated,
    async evaluate(assignment) {
      evaluated.push(assignment);
      const divergence = predictedLoss(truth, assignment);
      const excess = budget === undefined ? 0 : Math.max(0, divergence - budget) / Math.abs(budget);
      return { divergence, metric: -divergence, excess };
    },
  };
}

/** Terms of errors that point in random directions with a common part: G stays positive semi-definite. */
function interactionsOf(groups: readonly SearchGroup[], correlation: number, next: () => number): Float64Array[] {
  const offsets = choiceOffsets(groups);
  const choices = groups.flatMap((group, g) => group.choices.map(({ cost }) => ({ g, length: Math.sqrt(2 * cost) })));
  const directions = choices.map(() => Array.from({ length: 4 }, () => 2 * next() - 1));
  const unit = directions.map((v) => v.map((x) => x / Math.hypot(...v)));
  return Array.from({ length: offsets.at(-1)! }, (_, i) =>
    Float64Array.from(choices, (b, j) => {
      const a = choices[i]!;
      if (a.g === b.g) return 0;
      return correlation * a.length * b.length * unit[i]!.reduce((sum, x, k) => sum + x * unit[j]![k]!, 0);
    }),
  );
}

function bordersOf(count: number, choices: number, next: () => number): Factor[] {
  const table = (groups: number[]) => ({
    groups,
    values: Float64Array.from({ length: choices ** groups.length }, () => 0.4 * next()),
  });
  const pairs = Array.from({ length: count - 1 }, (_, g) => table([g, g + 1]));
  return count < 3 ? pairs : [...pairs, table([2, 0, 1])];
}

/** One of all assignments. */
export interface Candidate {
  readonly assignment: Assignment;
  readonly loss: number;
  readonly used: readonly number[];
  /** Of limits on resources. */
  readonly excess: number;
}

export function everyAssignment(problem: SearchProblem): Candidate[] {
  const { groups, resources } = problem;
  let assignments: number[][] = [[]];
  for (const { choices } of groups) assignments = assignments.flatMap((a) => choices.map((_, c) => [...a, c]));
  return assignments.map((assignment) => {
    const used = resources.map((resource) => usedOf(groups, resource, assignment));
    return { assignment, loss: predictedLoss(problem, assignment), used, excess: excessOf(resources, used) };
  });
}

/** What an assignment uses of a resource. */
export function used(problem: SearchProblem, name: Resource["name"], assignment: Assignment): number {
  return usedOf(problem.groups, problem.resources.find((resource) => resource.name === name)!, assignment);
}

export function least<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((best, item) => Math.min(best, value(item)), Number.POSITIVE_INFINITY);
}
