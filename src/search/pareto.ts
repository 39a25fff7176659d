import { choiceKey } from "../formats.js";
import { Front } from "./front.js";
import { levelsOf } from "./levels.js";
import { modelDriven } from "./model-driven.js";
import type { Search, SearchGroup, SearchProblem } from "./problem.js";
import { predictedLoss, Score } from "./score.js";

// Candidates that are looked at; where there are more, neighbours in the order of sensitivity share their format.
const mostCandidates = 300_000;

/**
 * HAWQ-V2's selection (Dong et al., 2019, section 3.1): groups sorted by sensitivity, and only assignments in which no group is narrower than a
 * less sensitive one. Of n groups and m formats these are C(n + m - 1, m - 1); those that others dominate are dropped, and of the front the least loss
 * inside the limits is taken.
 */
export const pareto: Search = modelDriven("pareto", async (problem) => {
  const front = monotoneFront(problem);
  return {
    loss: (assignment) => predictedLoss(problem, assignment),
    leastLoss: async () => front.leastLoss(),
    smallest: async (lossBudget) => front.smallest(lossBudget),
    nearest: async () => front.nearest!,
  };
});

function monotoneFront(problem: SearchProblem): Front {
  const front = new Front(problem);
  const score = new Score(
    problem,
    problem.groups.map(() => 0),
  );
  const record = () => front.add({ loss: score.loss, used: [...score.used], assignment: [...score.assignment] });
  const steps = levelSteps(problem.groups);
  const order = [...problem.groups.keys()].sort(
    (a, b) => problem.groups[b]!.sensitivity - problem.groups[a]!.sensitivity || a - b,
  );
  const stride = strideFor(order.length, steps[0]!.length);
  /** Lowers ever more of the groups from `start` on to a level, from the least sensitive one, and from each of these assignments goes on with the next. */
  const lowerFrom = (level: number, start: number) => {
    if (level === steps[0]!.length) return;
    for (let end = order.length; end > start; end -= stride) {
      const cut = Math.max(start, end - stride);
      for (const g of order.slice(cut, end)) score.move(g, steps[g]![level]!);
      record();
      lowerFrom(level + 1, cut);
    }
    for (const g of order.slice(start)) score.move(g, steps[g]![level - 1]!);
  };
  record();
  lowerFrom(1, 0);
  return front;
}

/** What each group takes at each level, float first: the level's own choice, or that of the last level before it which the group has. */
function levelSteps(groups: readonly SearchGroup[]): number[][] {
  const levels = levelsOf(groups).map(({ choice }) => choiceKey(choice));
  return groups.map(({ choices }) => {
    const steps = [0];
    for (const level of levels) {
      const own = choices.findIndex(({ choice }) => choiceKey(choice) === level);
      steps.push(own < 0 ? steps.at(-1)! : own);
    }
    return steps;
  });
}

/** How many neighbours share a format so that there are not too many candidates. */
function strideFor(groups: number, levels: number): number {
  let stride = 1;
  while (candidateCount(Math.ceil(groups / stride), levels) > mostCandidates) stride++;
  return stride;
}

/** C(groups + levels - 1, levels - 1): ways to cut an ordered list into as many parts as there are levels. */
export function candidateCount(groups: number, levels: number): number {
  let count = 1;
  for (let i = 1; i < levels; i++) count = (count * (groups + i)) / i;
  return count;
}
