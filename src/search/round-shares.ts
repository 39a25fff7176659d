import type { Quantity } from "./linear-form.js";
import { type Change, localSearch } from "./local-search.js";
import type { Assignment, SearchGroup } from "./problem.js";
import type { Limit } from "./program.js";
import { choiceOffsets, usedOf } from "./score.js";

/** Sums of many terms are compared with limits. */
export const rounding = 1e-12;

const mostRounded = 64;
// Less is rounding.
const leastShare = 1e-7;
// Changes that exchanges are made of: pairs of them are tried.
const mostChanges = 64;

/** An optimum of the continuous relaxation. */
export interface Relaxed {
  /** Of every choice; the choices of all groups are numbered through. */
  readonly shares: Float64Array;
  /** By how much the optimum exceeds the relaxation's at least with each of them. */
  readonly reducedCosts: Float64Array;
}

/**
 * A good assignment within the limits that is near an optimum of the continuous relaxation: the best of those made of choices that have a share, since such an
 * optimum splits few groups, improved by exchanges of what is nearly as good. Undefined where none is within the limits, or they are too many.
 */
export function nearRelaxed(
  groups: readonly SearchGroup[],
  relaxed: Relaxed,
  minimize: Quantity,
  limits: readonly Limit[],
): Assignment | undefined {
  const rounded = roundShares(groups, relaxed.shares, minimize, limits);
  if (rounded === undefined) return undefined;
  const resources = limits.map(({ quantity, limit }) => ({ ...quantity, name: "bytes" as const, limit }));
  const problem = { groups, resources: [{ ...minimize, name: "footprint" as const }, ...resources] };
  const goal = { minimize: "footprint", lossBudget: Number.POSITIVE_INFINITY } as const;
  return localSearch(problem, rounded, goal, leastChanges(groups, rounded, relaxed.reducedCosts));
}

/** The changes that the relaxation says cost least. */
function leastChanges(groups: readonly SearchGroup[], from: Assignment, reducedCosts: Float64Array): Change[] {
  const offsets = choiceOffsets(groups);
  const changes = groups.flatMap(({ choices }, group) =>
    choices.flatMap((_, to) => (to === from[group] ? [] : [{ group, to, cost: reducedCosts[offsets[group]! + to]! }])),
  );
  return changes.sort((a, b) => a.cost - b.cost).slice(0, mostChanges);
}

function roundShares(
  groups: readonly SearchGroup[],
  shares: Float64Array,
  minimize: Quantity,
  limits: readonly Limit[],
): Assignment | undefined {
  const offsets = choiceOffsets(groups);
  const taken = groups.map(({ choices }, g) =>
    [...choices.keys()].filter((c) => shares[offsets[g]! + c]! > leastShare),
  );
  if (taken.reduce((count, own) => count * own.length, 1) > mostRounded) return undefined;
  let assignments: Assignment[] = [taken.map(([first]) => first!)];
  for (const [g, own] of taken.entries()) {
    if (own.length > 1) assignments = assignments.flatMap((one) => own.map((c) => one.with(g, c)));
  }
  const value = (assignment: Assignment) => usedOf(groups, minimize, assignment);
  const [best] = assignments
    .filter((assignment) => !limits.some((limit) => exceeds(groups, limit, assignment)))
    .sort((a, b) => value(a) - value(b));
  return best;
}

/** Whether an assignment is beyond a limit by more than rounding. */
export function exceeds(groups: readonly SearchGroup[], { quantity, limit }: Limit, assignment: Assignment): boolean {
  return usedOf(groups, quantity, assignment) > limit + rounding * Math.abs(limit);
}
