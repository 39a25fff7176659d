import { byHarm, candidates, levelsOf } from "./levels.js";
import { lowerUntilMet } from "./lower-until-met.js";
import type { Search } from "./problem.js";
import { Trail, untilAborted } from "./trail.js";

/**
 * Lowers one group at a time, the least predicted harm first, and keeps what stays inside the band (the greedy search of arXiv 2302.01382).
 * One evaluation for each group and format. Without a band: the least harm until the limits on resources are met.
 */
export const greedy: Search = (problem, control) => {
  const levels = levelsOf(problem.groups);
  const trail = new Trail(problem, "greedy", problem.band ? 1 + levels.length * problem.groups.length : 2, control);
  return untilAborted(trail, async () => {
    if (!problem.band) return lowerUntilMet(trail, byHarm);
    for (const level of levels) {
      for (const lowering of candidates(problem, trail.current, level, byHarm)) {
        await trail.attempt(`${level.name} for ${problem.groups[lowering.group]!.id}`, [lowering]);
      }
    }
    return { stopped: "every group has been tried in every format" };
  });
};
