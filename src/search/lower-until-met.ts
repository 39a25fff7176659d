import { candidates, levelsOf, type Order, pathTo } from "./levels.js";
import { localSearch } from "./local-search.js";
import type { Assignment, SearchProblem } from "./problem.js";
import { excessOf, Score } from "./score.js";
import type { Trail } from "./trail.js";

/**
 * Without a band to stay in: lowers groups in order, level by level, until the limits on resources are met, and evaluates what came of it. A lowering
 * that brings no limit nearer is left out, unless the limits are met only by lowerings that do so together, or by choices that levels do not lead to.
 */
export async function lowerUntilMet(trail: Trail, order: Order): Promise<{ stopped: string }> {
  const { problem, current } = trail;
  const { assignment, excess } = nearest(problem, current, order);
  const lowerings = pathTo(problem.groups, assignment);
  await trail.attempt(`${lowerings.length} lowerings towards the limits`, lowerings);
  return {
    stopped: excess === 0 ? "the limits on resources are met" : "no further lowering brings the limits nearer",
  };
}

/** An assignment, and by how much it exceeds the limits. */
interface Way {
  readonly assignment: Assignment;
  readonly excess: number;
}

/** The first way that meets the limits, or else the one that comes nearest. */
function nearest(problem: SearchProblem, start: Assignment, order: Order): Way {
  const single = oneByOne(problem, start, order);
  if (single.excess === 0) return single;
  const joint = together(problem, start, order);
  const best = joint.excess < single.excess ? joint : single;
  if (best.excess === 0) return best;
  const other = sideways(problem, best);
  return other.excess < best.excess ? other : best;
}

function oneByOne(problem: SearchProblem, start: Assignment, order: Order): Way {
  return lowered(problem, start, order, (after, before) => after < before);
}

/**
 * Integer kernels may pay only once a run of layers has them. So every lowering stays until the limits are met; then those that bring them no nearer are taken back,
 * the last first.
 */
function together(problem: SearchProblem, start: Assignment, order: Order): Way {
  const { assignment, excess } = lowered(problem, start, order, () => true);
  const score = new Score(problem, assignment);
  for (const group of [...assignment.keys()].toReversed()) {
    score.move(group, start[group]!);
    if (excessOf(problem.resources, score.used) > excess) score.move(group, assignment[group]!);
  }
  return { assignment: score.assignment, excess: excessOf(problem.resources, score.used) };
}

/**
 * Levels only lead to what is narrower. Narrow weights that meet float activations can be the smaller file for all that: integer layers have more nodes.
 */
function sideways(problem: SearchProblem, { assignment }: Way): Way {
  const goal = { minimize: "loss", lossBudget: Number.POSITIVE_INFINITY } as const;
  const score = new Score(problem, localSearch(problem, assignment, goal));
  return { assignment: score.assignment, excess: excessOf(problem.resources, score.used) };
}

/** @param isKept - Whether a lowering stays, by the excess over the limits with it and without. */
function lowered(
  problem: SearchProblem,
  start: Assignment,
  order: Order,
  isKept: (after: number, before: number) => boolean,
): Way {
  const { groups, resources } = problem;
  const score = new Score(problem, start);
  const excess = () => excessOf(resources, score.used);
  for (const level of levelsOf(groups)) {
    for (const { group, from, to } of candidates(problem, score.assignment, level, order)) {
      const before = excess();
      if (before === 0) break;
      score.move(group, to);
      if (!isKept(excess(), before)) score.move(group, from);
    }
  }
  return { assignment: score.assignment, excess: excess() };
}
