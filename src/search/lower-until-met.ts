import { candidates, levelsOf, type Order } from "./levels.js";
import type { Assignment, Lowering, SearchProblem } from "./problem.js";
import { excessOf, Score } from "./score.js";
import type { Trail } from "./trail.js";

/**
 * Without a band to stay in: lowers groups in order, level by level, until the limits on resources are met, and evaluates what came of it. A lowering
 * that brings no limit nearer is left out, unless the limits are met only by lowerings that do so together.
 */
export async function lowerUntilMet(trail: Trail, order: Order): Promise<{ stopped: string }> {
  const { problem, current } = trail;
  const oneByOne = lowered(problem, current, order, (after, before) => after < before);
  const [lowerings, met] = oneByOne.met
    ? [oneByOne.lowerings, true]
    : together(problem, current, order, oneByOne.lowerings);
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
 * @param otherwise - What is done where that does not meet them either.
 */
function together(
  problem: SearchProblem,
  start: Assignment,
  order: Order,
  otherwise: readonly Lowering[],
): [lowerings: readonly Lowering[], met: boolean] {
  const { lowerings, score, met } = lowered(problem, start, order, () => true);
  if (!met) return [otherwise, false];
  const groups = [...new Set(lowerings.map(({ group }) => group))];
  for (const group of groups.toReversed()) {
    const to = score.assignment[group]!;
    score.move(group, start[group]!);
    if (excessOf(problem.resources, score.used) > 0) score.move(group, to);
  }
  const changes = groups.map((group) => ({ group, from: start[group]!, to: score.assignment[group]! }));
  return [changes.filter(({ from, to }) => from !== to), true];
}
