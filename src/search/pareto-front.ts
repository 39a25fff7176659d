import { BitwrightError } from "../errors.js";
import { Front } from "./front.js";
import { costsOf, nearestToLimits } from "./integer-program.js";
import { linearForm } from "./linear-form.js";
import { modelDriven } from "./model-driven.js";
import type { Resource, Search, SearchProblem } from "./problem.js";
import { choiceOffsets, usedOf } from "./score.js";

// Of all resources together; one resource has them all.
const mostBuckets = 10_000;

/**
 * The front of the separable problem, without the restriction that `pareto` has: dynamic programming over the groups, which keeps for each bucket of what is
 * used the assignment of the groups so far with the least loss. An assignment keeps its exact use, so that no limit is exceeded by rounding; what the
 * buckets cost is that the optimum may be missed by what lies within one.
 */
export const paretoFront: Search = modelDriven("pareto-front", async (problem) => {
  const costs = costsOf(problem);
  const front = dynamicProgram(problem);
  return {
    loss: (assignment) => usedOf(problem.groups, costs, assignment),
    leastLoss: async () => front.leastLoss(),
    smallest: async (lossBudget) => front.smallest(lossBudget),
    nearest: () => nearestToLimits(problem),
  };
});

/** Assignments of the first groups. */
interface State {
  readonly loss: number;
  readonly used: readonly number[];
  readonly choice: number;
  readonly before: State | undefined;
}

function dynamicProgram(problem: SearchProblem): Front {
  const { groups, resources, minimize, band } = problem;
  const tracked = resources.filter(({ name, limit }) => limit !== undefined || (name === minimize && band));
  const axes = tracked.map((resource) => axisOf(problem, resource, Math.floor(mostBuckets ** (1 / tracked.length))));
  let states: State[] = [{ loss: 0, used: axes.map(({ least }) => least), choice: 0, before: undefined }];
  for (const [g, { choices }] of groups.entries()) {
    const buckets = new Map<number, State>();
    for (const before of states) {
      for (const [choice, { cost }] of choices.entries()) {
        const used = axes.map(({ extra }, a) => before.used[a]! + extra[g]![choice]!);
        if (used.some((amount, a) => amount > axes[a]!.most)) continue;
        const bucket = axes.reduce((at, axis, a) => at * axis.buckets + axis.bucket(used[a]!), 0);
        const loss = before.loss + cost;
        const known = buckets.get(bucket);
        if (known === undefined || loss < known.loss) buckets.set(bucket, { loss, used, choice, before });
      }
    }
    states = [...buckets.values()];
  }
  const front = new Front(problem);
  for (const state of states) {
    const assignment = choicesOf(state);
    front.add({
      loss: state.loss,
      used: resources.map((resource) => usedOf(groups, resource, assignment)),
      assignment,
    });
  }
  return front;
}

function choicesOf(last: State): number[] {
  const choices: number[] = [];
  for (let state = last; state.before !== undefined; state = state.before) choices.push(state.choice);
  return choices.reverse();
}

/** A resource by what every group uses beyond its least. */
interface Axis {
  /** Of all groups. */
  readonly least: number;
  readonly most: number;
  /** By group and choice. */
  readonly extra: readonly (readonly number[])[];
  readonly buckets: number;
  bucket(used: number): number;
}

/** @throws BitwrightError `invalid-option` when groups do not use the resource independently of each other. */
function axisOf({ groups }: SearchProblem, resource: Resource, buckets: number): Axis {
  const { constant, choices, tables } = linearForm(groups, resource);
  if (tables.length > 0) {
    throw new BitwrightError("invalid-option", `${resource.name} is no sum over groups here`, {
      where: "search",
      received: "pareto-front",
      remedy: "Use integer-program, which takes resources that depend on several groups at once",
    });
  }
  const offsets = choiceOffsets(groups);
  const own = groups.map((_, g) => [...choices.subarray(offsets[g]!, offsets[g + 1]!)]);
  const extra = own.map((values) => values.map((value) => value - Math.min(...values)));
  const least = own.reduce((sum, values) => sum + Math.min(...values), constant);
  const largest = extra.reduce((sum, values) => sum + Math.max(...values), least);
  const most = Math.min(largest, resource.limit ?? largest) + 1e-12 * Math.abs(largest);
  const width = (most - least) / (buckets - 1) || 1;
  return { least, most, extra, buckets, bucket: (used) => Math.floor((used - least) / width) };
}
