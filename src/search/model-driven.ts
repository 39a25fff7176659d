import type { Assignment, Lowering, Proof, ResourceName, Search, SearchProblem, Verdict } from "./problem.js";
import { excessOf, Score, usedOf } from "./score.js";
import { Trail, untilAborted } from "./trail.js";

/** An assignment that a planner takes to be the best. */
export interface Planned {
  readonly assignment: Assignment;
  /** Of what was minimized: nothing that was asked for is below it. */
  readonly bound?: number;
}

/** How far a planner that cannot be sure to have the best goes: a good one on the way, or the best and a bound at the end. */
export type Effort = "quick" | "thorough";

/** Answers questions about predictions; nothing is evaluated. */
export interface Planner {
  /** The rise of the loss as this planner predicts it. */
  loss(assignment: Assignment): number;
  /** The least predicted loss inside the limits on resources; undefined when they cannot be met. */
  leastLoss(): Promise<Planned | undefined>;
  /**
   * The assignment with at most this predicted loss, inside the limits on resources, that uses least of what the problem minimizes; of equals the one with
   * the least loss.
   */
  smallest(lossBudget: number, effort?: Effort): Promise<Planned | undefined>;
  /** The assignment that exceeds the limits on resources least. */
  nearest(): Promise<Assignment>;
}

// Budgets are narrowed down to this share; predictions miss by more.
const resolution = 1e-3;
const mostEvaluations = 24;
// Lowerings tried one by one behind the best, since predictions and truth differ.
const tailLength = 4;

const solverTolerance = 1e-9;

interface Ending {
  readonly stopped: string;
  readonly proof?: Proof;
}

/**
 * A search that leaves the decision to predictions and evaluates what they propose. With a band it bisects the predicted loss that is allowed: the
 * smallest assignment within this budget is evaluated, and the budget falls or rises with the verdict. Without a band the least
 * predicted loss inside the limits on resources is evaluated once.
 */
export function modelDriven(name: string, plannerOf: (problem: SearchProblem) => Promise<Planner>): Search {
  return (problem, control) => {
    const trail = new Trail(problem, name, problem.band ? mostEvaluations + tailLength : 2, control);
    return untilAborted(trail, async () => {
      const planner = await plannerOf(problem);
      return problem.band ? insideBand(trail, planner) : insideLimits(trail, planner);
    });
  };
}

async function insideLimits(trail: Trail, planner: Planner): Promise<Ending> {
  const planned = await planner.leastLoss();
  if (planned === undefined) return tryNearest(trail, planner);
  await trail.propose("the least predicted loss inside the limits", planned.assignment);
  const value = planner.loss(planned.assignment);
  return { stopped: "the predicted loss is the least inside the limits", ...proofOf(planned, "loss", value) };
}

async function tryNearest(trail: Trail, planner: Planner): Promise<Ending> {
  await trail.propose("the nearest to the limits on resources", await planner.nearest());
  return { stopped: "the limits on resources cannot all be met" };
}

async function insideBand(trail: Trail, planner: Planner): Promise<Ending> {
  const { minimize } = trail.problem;
  const narrowest = await planner.smallest(Number.POSITIVE_INFINITY);
  if (narrowest === undefined) return tryNearest(trail, planner);
  if (isInside(await trail.propose("everything that the limits allow", narrowest.assignment))) {
    const proof = proofOf(narrowest, minimize, used(trail.problem, minimize, narrowest.assignment));
    return { stopped: "the least that formats and limits allow is inside the band", ...proof };
  }
  let holds = 0;
  if (!meetsLimits(trail.problem, trail.current)) {
    const { assignment } = (await planner.leastLoss())!;
    if (!isInside(await trail.propose("the least predicted loss inside the limits", assignment))) {
      return { stopped: "the least predicted loss inside the limits on resources is outside of the band" };
    }
    holds = planner.loss(assignment);
  }
  const lossBudget = await bisectBudget(trail, planner, holds, planner.loss(narrowest.assignment));
  const last = lossBudget === undefined ? undefined : await planner.smallest(lossBudget, "thorough");
  if (last !== undefined)
    await trail.propose(`predicted loss up to ${digits(lossBudget!)}, thoroughly`, last.assignment);
  await tail(trail);
  const { proof } =
    last === undefined ? {} : proofOf(last, minimize, used(trail.problem, minimize, trail.best!.assignment));
  return {
    stopped: "the predicted loss that the band leaves is known to a thousandth",
    ...(proof !== undefined && { proof: { ...proof, lossBudget: lossBudget! } }),
  };
}

/** Bisects the budget between one that holds and one that is too much, in steps of equal ratio. Returns the largest that was seen to hold. */
async function bisectBudget(
  trail: Trail,
  planner: Planner,
  holds: number,
  tooMuch: number,
): Promise<number | undefined> {
  let low = Math.max(holds, leastCost(trail.problem) / 2);
  let high = tooMuch;
  let found: number | undefined;
  for (let tries = 0; tries < mostEvaluations - 3 && high > low * (1 + resolution); tries++) {
    const budget = Math.sqrt(low * high);
    const planned = await planner.smallest(budget);
    // Only a planner that may overlook assignments finds none here.
    const verdict = planned && (await trail.propose(`predicted loss up to ${digits(budget)}`, planned.assignment));
    if (verdict === undefined || isInside(verdict)) low = budget;
    else high = Math.min(budget, planner.loss(planned!.assignment));
    if (verdict !== undefined && isInside(verdict)) found = budget;
  }
  return found;
}

/** Tries the next few lowerings one by one, the least predicted harm first. */
async function tail(trail: Trail): Promise<void> {
  const { groups, resources, minimize } = trail.problem;
  const objective = resources.findIndex(({ name }) => name === minimize);
  const score = new Score(trail.problem, trail.best!.assignment);
  const lowerings = groups.flatMap(({ choices }, group) =>
    choices.flatMap((_, to): (Lowering & { readonly harm: number })[] => {
      const from = score.assignment[group]!;
      if (score.usedChange(objective, group, to) >= 0) return [];
      return [{ group, from, to, harm: score.lossChange(group, to) }];
    }),
  );
  for (const { group, to } of lowerings.sort((a, b) => a.harm - b.harm).slice(0, tailLength)) {
    const assignment = trail.best!.assignment.with(group, to);
    if (meetsLimits(trail.problem, assignment)) {
      await trail.propose(`one more lowering, ${groups[group]!.id}`, assignment);
    }
  }
}

function isInside({ excess }: Verdict): boolean {
  return excess === 0;
}

function used({ groups, resources }: SearchProblem, name: ResourceName, assignment: Assignment): number {
  return usedOf(groups, resources.find((resource) => resource.name === name)!, assignment);
}

function meetsLimits({ groups, resources }: SearchProblem, assignment: Assignment): boolean {
  const amounts = resources.map((resource) => usedOf(groups, resource, assignment));
  return excessOf(resources, amounts) === 0;
}

/** The least cost of any choice that costs anything: budgets below it allow nothing. */
function leastCost({ groups }: SearchProblem): number {
  const costs = groups.flatMap(({ choices }) => choices.map(({ cost }) => cost).filter((cost) => cost > 0));
  return costs.reduce((least, cost) => Math.min(least, cost), Number.POSITIVE_INFINITY);
}

function proofOf({ bound }: Planned, minimized: Proof["minimized"], value: number): { readonly proof?: Proof } {
  if (bound === undefined) return {};
  const gap = value > bound ? (value - bound) / Math.abs(value) : 0;
  return { proof: { minimized, value, bound: Math.min(bound, value), gap: gap < solverTolerance ? 0 : gap } };
}

function digits(value: number): string {
  return value.toPrecision(3);
}
