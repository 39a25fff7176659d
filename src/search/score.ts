import type { Assignment, Factor, Resource, SearchGroup, SearchProblem } from "./problem.js";

/** What of a problem predictions need. */
export type Predictable = Pick<SearchProblem, "groups" | "interactions" | "resources">;

// Sums over many groups, taken in different orders, differ in their last digits.
const rounding = 1e-12;

/** Predicted loss and resources of an assignment, kept up to date while groups change their choices. */
export class Score {
  readonly problem: Predictable;
  readonly #assignment: number[];
  readonly #offsets: readonly number[];
  /** Of every choice: the sum of its terms with what the groups have. */
  readonly #field: Float64Array | undefined;
  /** By resource and group: the factors that the group is in. */
  readonly #factors: readonly (readonly (readonly Factor[])[])[];
  readonly #used: number[];
  #loss: number;

  constructor(problem: Predictable, assignment: Assignment) {
    const { groups, interactions, resources } = problem;
    this.problem = problem;
    this.#assignment = [...assignment];
    this.#offsets = choiceOffsets(groups);
    this.#factors = resources.map(({ factors }) => factorsByGroup(groups.length, factors));
    this.#used = resources.map((resource) => usedOf(groups, resource, assignment));
    this.#loss = groups.reduce((sum, { choices }, g) => sum + choices[assignment[g]!]!.cost, 0);
    if (interactions === undefined) return;
    this.#field = new Float64Array(interactions.length);
    for (const g of groups.keys()) this.#addTerms(g, assignment[g]!, 1);
    // Every pair is in the field of both its groups.
    for (const g of groups.keys()) this.#loss += this.#field[this.#offsets[g]! + assignment[g]!]! / 2;
  }

  get assignment(): Assignment {
    return this.#assignment;
  }

  /** Predicted rise of the loss. */
  get loss(): number {
    return this.#loss;
  }

  /** Of each resource of the problem, in order. */
  get used(): readonly number[] {
    return this.#used;
  }

  /** What the predicted loss rises by when a group takes another choice: O(1). */
  lossChange(group: number, to: number): number {
    const { choices } = this.problem.groups[group]!;
    const from = this.#assignment[group]!;
    const change = choices[to]!.cost - choices[from]!.cost;
    if (this.#field === undefined) return change;
    const offset = this.#offsets[group]!;
    return change + this.#field[offset + to]! - this.#field[offset + from]!;
  }

  /** What the use of a resource rises by when a group takes another choice. */
  usedChange(resource: number, group: number, to: number): number {
    const { groups } = this.problem;
    const from = this.#assignment[group]!;
    if (to === from) return 0;
    let change = 0;
    for (const factor of this.#factors[resource]![group]!) change -= factorValue(groups, factor, this.#assignment);
    this.#assignment[group] = to;
    for (const factor of this.#factors[resource]![group]!) change += factorValue(groups, factor, this.#assignment);
    this.#assignment[group] = from;
    return change;
  }

  move(group: number, to: number): void {
    const from = this.#assignment[group]!;
    if (from === to) return;
    this.#loss += this.lossChange(group, to);
    for (const r of this.#used.keys()) this.#used[r]! += this.usedChange(r, group, to);
    this.#assignment[group] = to;
    this.#addTerms(group, from, -1);
    this.#addTerms(group, to, 1);
  }

  /** Adds a choice's terms with the choices of all other groups to their fields. */
  #addTerms(group: number, choice: number, sign: 1 | -1): void {
    if (this.#field === undefined) return;
    const [start, end] = [this.#offsets[group]!, this.#offsets[group + 1]!];
    const row = this.problem.interactions![start + choice]!;
    for (let i = 0; i < start; i++) this.#field[i]! += sign * row[i]!;
    for (let i = end; i < row.length; i++) this.#field[i]! += sign * row[i]!;
  }
}

/** Predicted rise of the loss: the sum of the costs and of the interactions of all pairs. */
export function predictedLoss(problem: Predictable, assignment: Assignment): number {
  return new Score(problem, assignment).loss;
}

/** Where each group's choices start when those of all groups are numbered through; one more for their number. */
export function choiceOffsets(groups: readonly SearchGroup[]): number[] {
  const offsets = [0];
  for (const { choices } of groups) offsets.push(offsets.at(-1)! + choices.length);
  return offsets;
}

/** How much of a resource, or of anything of its form, an assignment uses. */
export function usedOf(
  groups: readonly SearchGroup[],
  { fixed, factors }: Pick<Resource, "fixed" | "factors">,
  assignment: Assignment,
): number {
  return factors.reduce((sum, factor) => sum + factorValue(groups, factor, assignment), fixed);
}

export function factorValue(groups: readonly SearchGroup[], factor: Factor, assignment: Assignment): number {
  let at = 0;
  for (const g of factor.groups) at = at * groups[g]!.choices.length + assignment[g]!;
  return factor.values[at]!;
}

/** By how much limits on resources are exceeded: each excess as a share of its limit, summed. */
export function excessOf(resources: readonly Resource[], used: readonly number[]): number {
  return resources.reduce(
    (sum, { limit }, r) =>
      limit === undefined || used[r]! <= limit * (1 + rounding) ? sum : sum + (used[r]! - limit) / limit,
    0,
  );
}

export function factorsByGroup(count: number, factors: readonly Factor[]): Factor[][] {
  const found: Factor[][] = Array.from({ length: count }, () => []);
  for (const factor of factors) for (const g of factor.groups) found[g]!.push(factor);
  return found;
}
