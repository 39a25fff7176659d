import type { Planned } from "./model-driven.js";
import type { Assignment, SearchProblem } from "./problem.js";
import { excessOf } from "./score.js";

/** An assignment with what it is predicted to lose and to use. */
export interface Point {
  readonly loss: number;
  /** Of each resource of the problem. */
  readonly used: readonly number[];
  readonly assignment: Assignment;
}

// Points that are gathered before those that others dominate are dropped.
const mostGathered = 4096;

/** Points inside the limits on resources of which no other both loses and uses less, and the one nearest to the limits. */
export class Front {
  readonly #problem: SearchProblem;
  readonly #objective: number;
  #points: Point[] = [];
  #nearest: { readonly point: Point; readonly excess: number } | undefined;

  constructor(problem: SearchProblem) {
    this.#problem = problem;
    this.#objective = problem.resources.findIndex(({ name }) => name === problem.minimize);
  }

  add(point: Point): void {
    const excess = excessOf(this.#problem.resources, point.used);
    if (this.#nearest === undefined || excess < this.#nearest.excess) this.#nearest = { point, excess };
    if (excess > 0) return;
    this.#points.push(point);
    if (this.#points.length > mostGathered) this.#dropDominated();
  }

  /** From the largest loss to the least, what is used rising. */
  get points(): readonly Point[] {
    this.#dropDominated();
    return this.#points;
  }

  leastLoss(): Planned | undefined {
    return this.points.at(-1);
  }

  /** The point that uses least of what the problem minimizes, with at most so much loss. */
  smallest(lossBudget: number): Planned | undefined {
    return this.points.find(({ loss }) => loss <= lossBudget);
  }

  get nearest(): Assignment | undefined {
    return this.#nearest?.point.assignment;
  }

  #dropDominated(): void {
    const size = ({ used }: Point) => used[this.#objective]!;
    const sorted = this.#points.sort((a, b) => size(a) - size(b) || a.loss - b.loss);
    let least = Number.POSITIVE_INFINITY;
    this.#points = sorted.filter(({ loss }) => {
      if (loss >= least) return false;
      least = loss;
      return true;
    });
  }
}
