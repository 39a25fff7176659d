import type { Quantity } from "./linear-form.js";
import type { Assignment, SearchGroup } from "./problem.js";
import type { Limit } from "./program.js";
import { choiceOffsets, usedOf } from "./score.js";

/** Sums of many terms are compared with limits. */
export const rounding = 1e-12;

const mostRounded = 64;
// Less is rounding.
const leastShare = 1e-7;

/**
 * A good assignment within the limits that is near an optimum of the continuous relaxation: the best of those made of choices that have a share, since such an
 * optimum splits few groups. Undefined where none is within the limits, or they are too many.
 */
export function roundShares(
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
