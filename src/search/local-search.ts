import type { Assignment, ResourceName } from "./problem.js";
import { excessOf, type Predictable, Score } from "./score.js";

/** What a local search looks for: the least of something, with at most so much predicted loss where that is not it. */
export interface Goal {
  readonly minimize: "loss" | ResourceName;
  readonly lossBudget: number;
}

/** A group that takes another choice. */
export interface Change {
  readonly group: number;
  readonly to: number;
}

// Smaller differences are rounding.
const rounding = 1e-12;
// Pairs of changes that are looked at before the search is content.
const mostPairs = 5_000_000;

/**
 * Improves an assignment by changing one group, and two at once when one no longer helps, until nothing helps. From outside the limits it leads back
 * inside first, as far as it can.
 * @param changes - Those that are tried.
 */
export function localSearch(
  whole: Predictable,
  start: Assignment,
  goal: Goal,
  changes: readonly Change[] = allChanges(whole),
): Assignment {
  const { minimize } = goal;
  const resources = whole.resources.filter(({ name, limit }) => name === minimize || limit !== undefined);
  const problem = { ...whole, resources };
  const score = new Score(problem, start);
  const ranking = new Ranking(problem, goal);
  for (let pairs = 0; pairs < mostPairs; ) {
    const single = ranking.best(score, changes, ranking.of(score));
    if (single !== undefined) {
      score.move(single.group, single.to);
      continue;
    }
    const [improved, seen] = improveByPair(score, changes, ranking);
    if (!improved) break;
    pairs += seen;
  }
  return score.assignment;
}

function allChanges({ groups }: Predictable): Change[] {
  return groups.flatMap(({ choices }, group) => choices.map((_, to) => ({ group, to })));
}

/** Makes the first pair of changes that helps. Returns whether there was one, and how many were looked at. */
function improveByPair(score: Score, changes: readonly Change[], ranking: Ranking): [improved: boolean, seen: number] {
  const before = ranking.of(score);
  let seen = 0;
  for (const [i, { group, to }] of changes.entries()) {
    const from = score.assignment[group]!;
    if (to === from) continue;
    score.move(group, to);
    const others = changes.slice(i + 1).filter((other) => other.group !== group);
    seen += others.length;
    const second = ranking.best(score, others, before);
    if (second !== undefined) {
      score.move(second.group, second.to);
      return [true, seen];
    }
    score.move(group, from);
  }
  return [false, seen];
}

/** By how much limits are exceeded, then what is minimized, then the predicted loss: less is better in this order. */
type Rank = readonly [excess: number, value: number, loss: number];

class Ranking {
  readonly #problem: Predictable;
  readonly #goal: Goal;
  readonly #objective: number;

  constructor(problem: Predictable, goal: Goal) {
    this.#problem = problem;
    this.#goal = goal;
    this.#objective = problem.resources.findIndex(({ name }) => name === goal.minimize);
  }

  of(score: Score): Rank {
    return this.#rank(score.loss, score.used);
  }

  /** The change that leads to the best rank, if that is better than a given one. */
  best(score: Score, changes: readonly Change[], than: Rank): Change | undefined {
    let best = than;
    let found: Change | undefined;
    for (const change of changes) {
      const { group, to } = change;
      if (score.assignment[group] === to) continue;
      const used = score.used.map((amount, r) => amount + score.usedChange(r, group, to));
      const rank = this.#rank(score.loss + score.lossChange(group, to), used);
      if (!isBetter(rank, best)) continue;
      best = rank;
      found = change;
    }
    return found;
  }

  #rank(loss: number, used: readonly number[]): Rank {
    const { lossBudget } = this.#goal;
    const over = loss > lossBudget * (1 + rounding) ? (loss - lossBudget) / Math.abs(lossBudget) : 0;
    const excess = excessOf(this.#problem.resources, used) + over;
    return [excess, this.#objective < 0 ? loss : used[this.#objective]!, loss];
  }
}

function isBetter(a: Rank, b: Rank): boolean {
  for (const [i, value] of a.entries()) {
    const difference = value - b[i]!;
    if (Math.abs(difference) > rounding * Math.max(Math.abs(value), Math.abs(b[i]!))) return difference < 0;
  }
  return false;
}
