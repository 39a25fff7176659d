import { byHarm, byPosition, candidates, levelsOf, type Order } from "./levels.js";
import { lowerUntilMet } from "./lower-until-met.js";
import type { Lowering, Search } from "./problem.js";
import { shuffled } from "./shuffle.js";
import { Trail, untilAborted } from "./trail.js";

/**
 * Bisection over the groups sorted by predicted harm, format by format in descending width (arXiv 2306.04879 and its predecessor 2302.01382): when not all
 * groups may take a format, the length of the prefix that takes it is bisected while the metric stays inside the band; the groups are sorted
 * anew for the next format. Since the metric is not exactly monotone along the prefix, a short greedy tail over the next groups
 * follows. At most 2 + log2(n) + tail evaluations a level. Without a band: the least harm until the limits on resources are met.
 */
export const bisection: Search = inOrder("bisection", byHarm, 4);

/** A baseline that a criterion has to beat: bisection over the groups in graph order. */
export const prefix: Search = inOrder("prefix", byPosition, 0);

/** A baseline that a criterion has to beat: bisection over the groups in an order drawn from the seed. */
export const random: Search = (problem, control) => inOrder("random", shuffled(problem.seed), 0)(problem, control);

/** @param tailLength - Groups tried one at a time behind the longest prefix that holds. */
function inOrder(name: string, order: Order, tailLength: number): Search {
  return (problem, control) => {
    const levels = levelsOf(problem.groups);
    const perLevel = 2 + Math.ceil(Math.log2(Math.max(2, problem.groups.length)));
    const trail = new Trail(problem, name, problem.band ? 1 + levels.length * perLevel : 2, control);
    return untilAborted(trail, async () => {
      if (!problem.band) return lowerUntilMet(trail, order);
      for (const level of levels) {
        const lowerings = candidates(problem, trail.current, level, order);
        if (lowerings.length === 0) continue;
        if (await trail.attempt(`${level.name} for all ${lowerings.length}`, lowerings)) continue;
        const taken = await longestPrefix(trail, level.name, lowerings);
        for (const lowering of lowerings.slice(taken + 1, taken + 1 + tailLength)) {
          await trail.attempt(`${level.name} for ${problem.groups[lowering.group]!.id}`, [lowering]);
        }
      }
      return { stopped: "every format has been tried on every group that may take it" };
    });
  };
}

/** Lowers the longest prefix that bisection finds inside the band; all of `lowerings` is known to be too much. Returns its length. */
async function longestPrefix(trail: Trail, name: string, lowerings: readonly Lowering[]): Promise<number> {
  let taken = 0;
  let tooMuch = lowerings.length;
  while (tooMuch - taken > 1) {
    const middle = Math.floor((taken + tooMuch) / 2);
    if (await trail.attempt(`${name} for ${middle} of ${lowerings.length}`, lowerings.slice(taken, middle)))
      taken = middle;
    else tooMuch = middle;
  }
  return taken;
}
