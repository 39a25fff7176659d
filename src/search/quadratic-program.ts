import { ConvexLoss } from "./convex-loss.js";
import { costsOf, limitsOf, linearPlanner, nearestToLimits } from "./integer-program.js";
import type { Quantity } from "./linear-form.js";
import { localSearch } from "./local-search.js";
import { type Effort, modelDriven, type Planned, type Planner } from "./model-driven.js";
import type { Assignment, Search, SearchProblem } from "./problem.js";
import { type Limit, solveProgram, solveRelaxation } from "./program.js";
import { choiceOffsets, excessOf, predictedLoss, usedOf } from "./score.js";

/**
 * The quadratic model of the loss under the same limits: costs and the interactions of all pairs, 1/2 x^T G x.
 *
 * Assignments come from local searches that start from answers of integer programs; bounds come from tangents of a convex form of the loss, which integer
 * programs can take (outer approximation, Duran and Grossmann, 1986). Small problems are solved exactly, with a share for each pair of
 * choices. The result says how far from the bound it is at most.
 */
export const quadraticProgram: Search = modelDriven("quadratic-program", async (problem) =>
  problem.interactions === undefined ? linearPlanner(problem) : new QuadraticPlanner(problem, problem.interactions),
);

const unlimited = Number.POSITIVE_INFINITY;
// Pairs of choices up to which the exact program is tried, and nodes of the solver's tree after which it is left with a gap.
const mostPairs = 800;
const exactNodes = 1000;
// Rounds of programs around the best so far.
const aroundRounds = 2;
// Rounds towards the least convex loss.
const lossRounds = 60;
// Rounds of the outer approximation: of its continuous relaxation, and with integers.
const relaxedRounds = 15;
const integerRounds = 5;
const integerNodes = 100;
// The latest tangents are those near the optimum.
const mostTangents = 30;
const quickTangents = 4;
const tolerance = 1e-9;

class QuadraticPlanner implements Planner {
  readonly #problem: SearchProblem;
  readonly #linear: Planner;
  readonly #convex: ConvexLoss;
  readonly #limits: readonly Limit[];
  readonly #objective: Quantity;
  /** Linear bounds of the loss, found for one budget and good for every other. */
  #tangents: readonly Quantity[];
  readonly #exact: Quantity | undefined;
  /** The last answer for a budget, from which the next one is not far. */
  #found: readonly Assignment[] = [];

  constructor(problem: SearchProblem, interactions: readonly Float64Array[]) {
    this.#problem = problem;
    this.#linear = linearPlanner(problem);
    this.#convex = new ConvexLoss(problem.groups, interactions);
    this.#limits = limitsOf(problem);
    this.#objective = problem.resources.find(({ name }) => name === problem.minimize)!;
    this.#tangents = [this.#convex.tangentAt(problem.groups.map(() => 0))];
    this.#exact = pairwiseLoss(problem, interactions);
  }

  loss(assignment: Assignment): number {
    return predictedLoss(this.#problem, assignment);
  }

  async leastLoss(): Promise<Planned | undefined> {
    const { groups } = this.#problem;
    const start = await this.#linear.leastLoss();
    if (start === undefined) return undefined;
    const tangent = await this.#relaxLoss(this.#improved([start]));
    const bounds = [await solveProgram(groups, { minimize: [tangent], limits: this.#limits }, integerNodes)];
    if (this.#exact !== undefined) {
      bounds.push(await solveProgram(groups, { minimize: [this.#exact], limits: this.#limits }, exactNodes));
    }
    const answers = bounds.filter((answer) => answer !== undefined);
    let best = this.#improved([start, ...answers]);
    for (let round = 0; round < aroundRounds; round++) {
      const around = this.#convex.tangentAt(best);
      const answer = await solveProgram(groups, { minimize: [around], limits: this.#limits }, integerNodes);
      if (answer !== undefined) best = this.#improved([{ assignment: best }, answer]);
    }
    const bound = Math.max(...answers.map(({ bound }) => bound));
    return { assignment: best, ...(Number.isFinite(bound) && { bound }) };
  }

  /**
   * The tangent with the highest bound on the way to the least convex loss of any shares (Frank and Wolfe, 1956): each step goes towards the least of the
   * tangent at the last one.
   */
  async #relaxLoss(start: Assignment): Promise<Quantity> {
    let shares = this.#convex.shares(start);
    let best = { tangent: this.#convex.tangent(shares), bound: Number.NEGATIVE_INFINITY };
    for (let round = 0; round < lossRounds; round++) {
      const tangent = this.#convex.tangent(shares);
      const relaxed = await solveRelaxation(this.#problem.groups, { minimize: [tangent], limits: this.#limits });
      if (relaxed === undefined) break;
      if (relaxed.bound > best.bound) best = { tangent, bound: relaxed.bound };
      shares = this.#convex.lineSearch(shares, relaxed.shares);
    }
    return best.tangent;
  }

  /** The least loss that local searches from some assignments lead to. */
  #improved(starts: readonly Planned[]): Assignment {
    const goal = { minimize: "loss", lossBudget: unlimited } as const;
    const found = starts.map(({ assignment }) => localSearch(this.#problem, assignment, goal));
    return found.reduce((best, other) => (this.loss(other) < this.loss(best) ? other : best));
  }

  async smallest(lossBudget: number, effort: Effort = "quick"): Promise<Planned | undefined> {
    const answers = [
      await this.#linear.smallest(lossBudget),
      await solveProgram(this.#problem.groups, this.#within(lossBudget, quickTangents), integerNodes),
    ];
    const starts = [...answers.flatMap((answer) => (answer === undefined ? [] : [answer.assignment])), ...this.#found];
    let best: Assignment | undefined;
    const improve = (assignment: Assignment) => {
      const improved = localSearch(this.#problem, assignment, { minimize: this.#problem.minimize, lossBudget });
      if (this.#isInside(improved, lossBudget) && (best === undefined || this.#size(improved) < this.#size(best))) {
        best = improved;
      }
      return improved;
    };
    for (const start of starts) improve(start);
    // Any loss is allowed at the start, and the linear program is the whole one then.
    const known = Number.isFinite(lossBudget) ? undefined : answers[0]?.bound;
    const bound = effort === "thorough" ? await this.#approximate(lossBudget, improve, () => best) : known;
    if (best === undefined) return undefined;
    this.#found = [best];
    this.#add(this.#convex.tangentAt(best));
    return { assignment: best, ...(bound !== undefined && { bound }) };
  }

  /** Improves answers of integer programs whose tangents become ever more, until the best of them meets the bound. Returns that. */
  async #approximate(
    lossBudget: number,
    improve: (assignment: Assignment) => Assignment,
    best: () => Assignment | undefined,
  ): Promise<number> {
    let bound = await this.#relax(lossBudget);
    for (let round = 0; round < integerRounds; round++) {
      const answer = await solveProgram(this.#problem.groups, this.#within(lossBudget), integerNodes);
      if (answer === undefined) break;
      bound = Math.max(bound, answer.bound);
      const improved = improve(answer.assignment);
      const found = best();
      if (found !== undefined && this.#size(found) - bound <= tolerance * Math.abs(bound)) break;
      this.#add(this.#convex.tangentAt(answer.assignment), this.#convex.tangentAt(improved));
    }
    return bound;
  }

  nearest(): Promise<Assignment> {
    return nearestToLimits(this.#problem);
  }

  /** Adds tangents at optima of the continuous relaxation until they raise its bound no more; returns that. */
  async #relax(lossBudget: number): Promise<number> {
    let bound = Number.NEGATIVE_INFINITY;
    for (let round = 0; round < relaxedRounds; round++) {
      const relaxed = await solveRelaxation(this.#problem.groups, this.#within(lossBudget));
      if (relaxed === undefined) break;
      const gain = relaxed.bound - bound;
      bound = Math.max(bound, relaxed.bound);
      if (gain <= 1e-3 * Math.abs(bound)) break;
      this.#add(this.#convex.tangent(relaxed.shares));
    }
    return bound;
  }

  #add(...tangents: readonly Quantity[]): void {
    this.#tangents = [...this.#tangents, ...tangents].slice(-mostTangents);
  }

  /** The least of the objective within limits and tangents. */
  #within(lossBudget: number, latest = mostTangents) {
    const tangents = Number.isFinite(lossBudget) ? this.#tangents.slice(-latest) : [];
    const limits = [...this.#limits, ...tangents.map((quantity) => ({ quantity, limit: lossBudget }))];
    return { minimize: [this.#objective], limits };
  }

  #size(assignment: Assignment): number {
    return usedOf(this.#problem.groups, this.#objective, assignment);
  }

  #isInside(assignment: Assignment, lossBudget: number): boolean {
    const { groups, resources } = this.#problem;
    const used = resources.map((resource) => usedOf(groups, resource, assignment));
    return excessOf(resources, used) === 0 && this.loss(assignment) <= lossBudget * (1 + tolerance);
  }
}

/** The loss as a sum of factors over groups and pairs of groups; undefined when these are too many. */
function pairwiseLoss(problem: SearchProblem, interactions: readonly Float64Array[]): Quantity | undefined {
  const { groups } = problem;
  const offsets = choiceOffsets(groups);
  const pairs = groups.flatMap((_, g) => groups.slice(g + 1).map((_, i) => [g, g + 1 + i] as const));
  const sizes = pairs.map(([g, h]) => groups[g]!.choices.length * groups[h]!.choices.length);
  if (sizes.reduce((sum, size) => sum + size, 0) > mostPairs) return undefined;
  const factors = pairs.map(([g, h], p) => {
    const width = groups[h]!.choices.length;
    const values = Float64Array.from(
      { length: sizes[p]! },
      (_, at) => interactions[offsets[g]! + Math.floor(at / width)]![offsets[h]! + (at % width)]!,
    );
    return { groups: [g, h], values };
  });
  return { fixed: 0, factors: [...costsOf(problem).factors, ...factors] };
}
