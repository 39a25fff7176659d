import { candidates, levelsOf } from "./levels.js";
import type { Lowering, Search } from "./problem.js";
import { Trail, untilAborted } from "./trail.js";

/** Groups tried one at a time behind the longest prefix that holds. */
const tailLength = 4;

/**
 * Bisection over the groups sorted by predicted harm, format by format in descending width (arXiv 2306.04879 and its predecessor 2302.01382): when not all
 * groups may take a format, the length of the prefix that takes it is bisected while the metric stays inside the band. Since the metric is
 * not exactly monotone along the prefix, a short greedy tail over the next groups follows. At most 2 + log2(n) + tail evaluations a level.
 */
export const bisection: Search = (problem, control) => {
  const levels = levelsOf(problem.groups);
  const perLevel = 2 + Math.ceil(Math.log2(Math.max(2, problem.groups.length)));
  const trail = new Trail(problem, "bisection", 1 + levels.length * perLevel, control);
  return untilAborted(trail, async () => {
    for (const level of levels) {
      const order = candidates(problem.groups, trail.assignment, level);
      if (order.length === 0 || (await trail.attempt(`${level.name} for all ${order.length}`, order))) continue;
      const taken = await longestPrefix(trail, level.name, order);
      for (const lowering of order.slice(taken + 1, taken + 1 + tailLength)) {
        await trail.attempt(`${level.name} for ${problem.groups[lowering.group]!.id}`, [lowering]);
      }
    }
    return "every format has been tried on every group that may take it";
  });
};

/** Lowers the longest prefix that bisection finds feasible; all of `order` is known to be too much. Returns its length. */
async function longestPrefix(trail: Trail, name: string, order: readonly Lowering[]): Promise<number> {
  let taken = 0;
  let tooMuch = order.length;
  while (tooMuch - taken > 1) {
    const middle = Math.floor((taken + tooMuch) / 2);
    if (await trail.attempt(`${name} for ${middle} of ${order.length}`, order.slice(taken, middle))) taken = middle;
    else tooMuch = middle;
  }
  return taken;
}
