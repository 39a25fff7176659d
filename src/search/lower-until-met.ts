import { candidates, levelsOf, type Order } from "./levels.js";
import type { Lowering } from "./problem.js";
import { excessOf, Score } from "./score.js";
import type { Trail } from "./trail.js";

/**
 * Without a band to stay in: lowers groups in order, level by level, until the limits on resources are met, and evaluates what came of it. A lowering
 * that brings no limit nearer is left out.
 */
export async function lowerUntilMet(trail: Trail, order: Order): Promise<{ stopped: string }> {
  const { groups, resources } = trail.problem;
  const score = new Score(trail.problem, trail.current);
  const excess = () => excessOf(resources, score.used);
  const lowerings: Lowering[] = [];
  for (const level of levelsOf(groups)) {
    for (const lowering of candidates(trail.problem, score.assignment, level, order)) {
      const before = excess();
      if (before === 0) break;
      score.move(lowering.group, lowering.to);
      if (excess() < before) lowerings.push(lowering);
      else score.move(lowering.group, lowering.from);
    }
  }
  await trail.attempt(`${lowerings.length} lowerings until the limits are met`, lowerings);
  const met = excess() === 0;
  return { stopped: met ? "the limits on resources are met" : "no further lowering brings the limits nearer" };
}
