import { candidates, levelsOf, type Order } from "./levels.js";
import { localSearch } from "./local-search.js";
import type { Assignment, Lowering, SearchProblem } from "./problem.js";
import { excessOf, Score } from "./score.js";
import type { Trail } from "./trail.js";

/**
 * Without a band to stay in: lowers groups in order, level by level, until the limits on resources are met, and evaluates what came of it. A lowering
 * that brings no limit nearer is left out, unless the limits are met only by lowerings that do so together, or by choices that levels do not lead to.
 */
export async function lowerUntilMet(trail: Trail, order: Order): Promise<{ stopped: string }> {
  const { problem, current } = trail;
  const oneByOne = lowered(problem, current, order, (after, before) => after < before);
  const { lowerings, met } = oneByOne.met
    ? oneByOne
    : (together(problem, current, order) ?? sideways(problem, current, oneByOne.score) ?? oneByOne);
  await trail.attempt(`${lowerings.length} lowerings until the limits are met`, lowerings);
  return { stopped: met ? "the limits on resources are met" : "no further lowering brings the limits nearer" };
}

/** @param isKept - Whether a lowering stays, by the excess over the limits with it and without. */
function lowered(
  problem: SearchProblem,
  start: Assignment,
  order: Order,
  isKept: (after: number, before: number) => boolean,
) {
  const { groups, resources } = problem;
  const score = new Score(problem, start);
  const excess = () => excessOf(resources, score.used);
  const lowerings: Lowering[] = [];
  for (const level of levelsOf(groups)) {
    for (const lowering of candidates(problem, score.assignment, level, order)) {
      const before = excess();
      if (before === 0) break;
      score.move(lowering.group, lowering.to);
      if (isKept(excess(), before)) lowerings.push(lowering);
      else score.move(lowering.group, lowering.from);
    }
  }
  return { lowerings, score, met: excess() === 0 };
}

/**
 * Integer kernels may pay only once a run of layers has them. So every lowering stays until the limits are met; then those that they are met without are taken back,
 * the last first.
 * @returns undefined where that does not meet them either.
 */
function together(problem: SearchProblem, start: Assignment, order: Order) {
  const { lowerings, score, met } = lowered(problem, start, order, () => true);
  if (!met) return undefined;
  const groups = [...new Set(lowerings.map(({ group }) => group))];
  for (const group of groups.toReversed()) {
    const to = score.assignment[group]!;
    score.move(group, start[group]!);
    if (excessOf(problem.resources, score.used) > 0) score.move(group, to);
  }
  return { lowerings: changes(start, score.assignment), met };
}

/**
 * Levels only lead to what is narrower. Narrow weights that meet float activations can be the smaller file for all that: integer layers have more nodes.
 * @returns undefined where no exchange of one or two groups' choices leads inside the limits.
 */
function sideways(problem: SearchProblem, start: Assignment, { assignment }: Score) {
  const goal = { minimize: "loss", lossBudget: Number.POSITIVE_INFINITY } as const;
  const found = localSearch(problem, assignment, goal);
  if (excessOf(problem.resources, new Score(problem, found).used) > 0) return undefined;
  return { lowerings: changes(start, found), met: true };
}

function changes(start: Assignment, end: Assignment): Lowering[] {
  return end.flatMap((to, group) => (to === start[group] ? [] : [{ group, from: start[group]!, to }]));
}
