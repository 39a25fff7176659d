import { candidates, levelsOf } from "./levels.js";
import type { Search } from "./problem.js";
import { Trail, untilAborted } from "./trail.js";

/**
 * Lowers one group at a time, the least predicted harm first, and keeps what stays inside the band (the greedy search of arXiv 2302.01382).
 * One evaluation for each group and format.
 */
export const greedy: Search = (problem, control) => {
  const levels = levelsOf(problem.groups);
  const trail = new Trail(problem, "greedy", 1 + levels.length * problem.groups.length, control);
  return untilAborted(trail, async () => {
    for (const level of levels) {
      for (const lowering of candidates(problem.groups, trail.assignment, level)) {
        await trail.attempt(`${level.name} for ${problem.groups[lowering.group]!.id}`, [lowering]);
      }
    }
    return "every group has been tried in every format";
  });
};
