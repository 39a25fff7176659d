import type { Quantity } from "./linear-form.js";
import { modelDriven, type Planner } from "./model-driven.js";
import type { Assignment, Search, SearchProblem } from "./problem.js";
import { type Limit, solveProgram } from "./program.js";
import { usedOf } from "./score.js";

/**
 * The multiple-choice knapsack with any number of linear limits, solved to proven optimality by HiGHS (the integer program of HAWQ-V3, arXiv 2011.10680, and of
 * arXiv 2505.13060). The predicted loss is the sum of the groups' own costs; interactions are left to quadratic-program.
 */
export const integerProgram: Search = modelDriven("integer-program", async (problem) => linearPlanner(problem));

export function linearPlanner(problem: SearchProblem): Planner {
  const { groups, resources } = problem;
  const loss = costsOf(problem);
  const objective = resources.find(({ name }) => name === problem.minimize)!;
  const limits = limitsOf(problem);
  /** The least loss with at most so much of what is minimized: whatever budget led there. */
  const best = new Map<number, Assignment>();
  return {
    loss: (assignment) => usedOf(groups, loss, assignment),
    leastLoss: () => solveProgram(groups, { minimize: [loss], limits }),
    async smallest(lossBudget) {
      const within = Number.isFinite(lossBudget) ? [...limits, { quantity: loss, limit: lossBudget }] : limits;
      const least = await solveProgram(groups, { minimize: [objective], limits: within });
      if (least === undefined) return undefined;
      const limit = usedOf(groups, objective, least.assignment);
      if (!best.has(limit)) {
        const narrowed = [...limits, { quantity: objective, limit }];
        const answer = await solveProgram(groups, { minimize: [loss], limits: narrowed });
        best.set(limit, (answer ?? least).assignment);
      }
      return { assignment: best.get(limit)!, bound: least.bound };
    },
    nearest: () => nearestToLimits(problem),
  };
}

/** The sum of the groups' own costs, as a quantity. */
export function costsOf({ groups }: Pick<SearchProblem, "groups">): Quantity {
  const factors = groups.map(({ choices }, g) => ({
    groups: [g],
    values: Float64Array.from(choices, ({ cost }) => cost),
  }));
  return { fixed: 0, factors };
}

export function limitsOf({ resources }: Pick<SearchProblem, "resources">): Limit[] {
  return resources.flatMap((quantity) => (quantity.limit === undefined ? [] : [{ quantity, limit: quantity.limit }]));
}

/** The assignment that exceeds the limits on resources least: the sum of the excesses, each a share of its limit. */
export async function nearestToLimits(problem: SearchProblem): Promise<Assignment> {
  const answer = await solveProgram(problem.groups, { minimize: [], limits: [], soft: limitsOf(problem) });
  return answer!.assignment;
}
