import type { Highs, Model, ModelData } from "highs";
import { BitwrightError } from "../errors.js";
import { loadSolver } from "./highs.js";
import { type LinearForm, linearForm, type Quantity, type Table } from "./linear-form.js";
import type { Assignment, SearchGroup } from "./problem.js";
import { exceeds, nearRelaxed, type Relaxed, rounding } from "./round-shares.js";
import { choiceOffsets, usedOf } from "./score.js";

export interface Limit {
  readonly quantity: Quantity;
  readonly limit: number;
}

export interface Query {
  /** The largest of these is minimized. */
  readonly minimize: readonly Quantity[];
  readonly limits: readonly Limit[];
  /** Limits that may be exceeded; the excess, as a share of each, is minimized as well. */
  readonly soft?: readonly Limit[];
}

export interface Answer {
  readonly assignment: Assignment;
  /** Of what was minimized: no assignment within the limits is below it. */
  readonly bound: number;
}

/** An optimum of the continuous relaxation. */
export interface RelaxedAnswer extends Relaxed {
  readonly bound: number;
}

// An objective whose optimum is below this share of its largest coefficient is solved anew without the choices that can be in no better
// one, since the solver's tolerances are relative to the largest.
const wideRange = 1e-3;
// Assignments that the solver takes to be within a limit by its tolerance, and that are not, are excluded one by one.
const mostExcluded = 100;
// How sure reduced costs have to be.
const reducedCostMargin = 1e-6;

/**
 * The assignment with the smallest value, by an integer program: a binary for each choice, one of each group's; and for a factor over several groups a share for
 * each combination of their choices, whose marginals are the choices.
 * @param nodes - Nodes of the solver's tree after which its best so far is the answer; without, the answer is proven to be the best.
 * @returns undefined when no assignment is within the limits, or none was found.
 */
export async function solveProgram(
  groups: readonly SearchGroup[],
  query: Query,
  nodes = Number.POSITIVE_INFINITY,
): Promise<Answer | undefined> {
  const highs = await loadSolver();
  const answer = solveInteger(highs, groups, query, nodes);
  const [quantity] = query.minimize;
  if (answer === undefined || query.minimize.length !== 1) return answer;
  const limit = usedOf(groups, quantity!, answer.assignment);
  const narrowed = { ...query, limits: [...query.limits, { quantity: quantity!, limit }] };
  return isWide(groups, quantity!, limit) ? (solveInteger(highs, groups, narrowed, nodes) ?? answer) : answer;
}

/**
 * The same with shares of choices.
 * @returns undefined when no shares are within the limits.
 */
export async function solveRelaxation(
  groups: readonly SearchGroup[],
  query: Query,
): Promise<RelaxedAnswer | undefined> {
  const highs = await loadSolver();
  const program = compile(groups, query);
  return program && relax(highs, program);
}

function relax(highs: Highs, program: Program): RelaxedAnswer | undefined {
  return highs.withModel(program.data(false), (model) => {
    if (run(highs, model) === undefined) return undefined;
    return { ...program.relaxed(model), bound: program.value(model.getObjectiveValue()) };
  });
}

function solveInteger(highs: Highs, groups: readonly SearchGroup[], query: Query, nodes: number): Answer | undefined {
  const whole = compile(groups, query);
  const program = whole && withoutHopeless(highs, groups, query, whole);
  if (program === undefined) return undefined;
  for (let excluded = 0; excluded < mostExcluded; excluded++) {
    const answer = highs.withModel(program.data(true), (model) => {
      if (run(highs, model, nodes) === undefined) return undefined;
      const bound = program.value(model.info.get("mip_dual_bound") as number);
      return { assignment: program.assignment(model), bound };
    });
    if (answer === undefined) return undefined;
    if (!query.limits.some((limit) => exceeds(groups, limit, answer.assignment))) return answer;
    program.exclude(answer.assignment);
  }
  throw new BitwrightError("engine-failure", "the solver does not respect a limit");
}

/**
 * A program without the choices that no best assignment has: their reduced costs in the continuous relaxation, which the optimum would exceed the relaxation's by
 * with any of them, are more than an assignment that is known exceeds it by. What is left is a small program, whose root alone costs less than the whole one's.
 * @returns undefined when the program has no solution.
 */
function withoutHopeless(highs: Highs, groups: readonly SearchGroup[], query: Query, whole: Program) {
  const [quantity] = query.minimize;
  if (query.minimize.length !== 1 || query.soft !== undefined) return whole;
  const relaxed = relax(highs, whole);
  if (relaxed === undefined) return undefined;
  const near = nearRelaxed(groups, relaxed, quantity!, query.limits);
  if (near === undefined) return whole;
  const gap = usedOf(groups, quantity!, near) - relaxed.bound;
  const margin = (1 + reducedCostMargin) * gap + reducedCostMargin * whole.scale;
  const hopeless = [...relaxed.reducedCosts.keys()].filter((choice) => relaxed.reducedCosts[choice]! > margin);
  return compile(groups, query, hopeless);
}

/** Solves a model; undefined when it has no solution. */
function run(highs: Highs, model: Model, nodes = Number.POSITIVE_INFINITY): "solved" | undefined {
  const solverTolerance = 1e-9;
  model.options.set({
    output_flag: false,
    mip_rel_gap: 0,
    mip_abs_gap: 0,
    mip_feasibility_tolerance: solverTolerance,
    primal_feasibility_tolerance: solverTolerance,
    dual_feasibility_tolerance: solverTolerance,
    small_matrix_value: 1e-12,
    ...(Number.isFinite(nodes) && { mip_max_nodes: nodes }),
  });
  const { modelStatus } = model.run();
  const { optimal, infeasible, unboundedOrInfeasible, solutionLimit, iterationLimit } = highs.constants.modelStatus;
  if (modelStatus === optimal) return "solved";
  if (modelStatus === infeasible || modelStatus === unboundedOrInfeasible) return undefined;
  if (modelStatus === solutionLimit || modelStatus === iterationLimit) {
    const { feasible } = highs.constants.solutionStatus;
    return model.info.get("primal_solution_status") === feasible ? "solved" : undefined;
  }
  throw new BitwrightError("engine-failure", "the solver gave up", { received: `status ${modelStatus} of HiGHS` });
}

/** Whether some coefficients are so much larger than a value that the solver's tolerances hide it. */
function isWide(groups: readonly SearchGroup[], quantity: Quantity, value: number): boolean {
  const form = linearForm(groups, quantity);
  const { least, range } = spread(groups, form, () => true);
  return value - least < wideRange * range;
}

/** The least value that a form can have as far as single choices and tables tell, and its widest range at one of them. */
function spread(groups: readonly SearchGroup[], form: LinearForm, isAllowed: (choice: number) => boolean) {
  const offsets = choiceOffsets(groups);
  const leastOf = groups.map(({ choices }, g) => {
    const allowed = choices.map((_, c) => offsets[g]! + c).filter(isAllowed);
    return allowed.reduce((least, i) => Math.min(least, form.choices[i]!), Number.POSITIVE_INFINITY);
  });
  const leastOfTable = form.tables.map(({ values }) => values.reduce((a, b) => Math.min(a, b)));
  let range = 0;
  for (const [g, { choices }] of groups.entries()) {
    for (const c of choices.keys()) {
      const i = offsets[g]! + c;
      if (isAllowed(i)) range = Math.max(range, form.choices[i]! - leastOf[g]!);
    }
  }
  for (const [t, { values }] of form.tables.entries()) {
    for (const value of values) range = Math.max(range, value - leastOfTable[t]!);
  }
  const least = [...leastOf, ...leastOfTable].reduce((sum, value) => sum + value, form.constant);
  return { leastOf, leastOfTable, least, range };
}

/** A query as the solver takes it, without some choices, or undefined when a limit cannot be met. */
function compile(
  groups: readonly SearchGroup[],
  { minimize, limits, soft = [] }: Query,
  without: Iterable<number> = [],
): Program | undefined {
  const rows = limits.map(({ quantity, limit }) => ({ form: linearForm(groups, quantity), limit }));
  const forbidden = new Set(without);
  const isAllowed = (choice: number) => !forbidden.has(choice);
  const offsets = choiceOffsets(groups);
  for (let known = -1; known < forbidden.size; ) {
    known = forbidden.size;
    for (const { form, limit } of rows) {
      const { least, leastOf } = spread(groups, form, isAllowed);
      const room = limit - least + rounding * Math.abs(limit);
      if (room < 0) return undefined;
      for (const [g, { choices }] of groups.entries()) {
        for (const c of choices.keys())
          if (form.choices[offsets[g]! + c]! - leastOf[g]! > room) forbidden.add(offsets[g]! + c);
      }
    }
  }
  const program = new Program(groups, isAllowed);
  program.minimize(minimize.map((quantity) => linearForm(groups, quantity)));
  for (const { form, limit } of rows) program.limit(form, limit);
  for (const { quantity, limit } of soft) program.soften(linearForm(groups, quantity), limit);
  return program;
}

type Entries = Map<number, number>;

/** Columns and rows of the solver's model. */
class Program {
  readonly #groups: readonly SearchGroup[];
  readonly #isAllowed: (choice: number) => boolean;
  readonly #offsets: readonly number[];
  /** Column of every allowed choice. */
  readonly #columns = new Map<number, number>();
  readonly #costs: number[] = [];
  readonly #lower: number[] = [];
  readonly #upper: number[] = [];
  readonly #isBinary: boolean[] = [];
  readonly #rows: { readonly lower: number; readonly upper: number; readonly entries: Entries }[] = [];
  #scale = 1;
  #constant = 0;

  constructor(groups: readonly SearchGroup[], isAllowed: (choice: number) => boolean) {
    this.#groups = groups;
    this.#isAllowed = isAllowed;
    this.#offsets = choiceOffsets(groups);
    for (const [g, { choices }] of groups.entries()) {
      const one: Entries = new Map();
      for (const c of choices.keys()) {
        const choice = this.#offsets[g]! + c;
        if (!isAllowed(choice)) continue;
        this.#columns.set(choice, this.#column(0, "choice"));
        one.set(this.#columns.get(choice)!, 1);
      }
      this.#rows.push({ lower: 1, upper: 1, entries: one });
    }
  }

  /** Minimizes the largest of some forms. */
  minimize(forms: readonly LinearForm[]): void {
    const spreads = forms.map((form) => spread(this.#groups, form, this.#isAllowed));
    this.#scale = Math.max(0, ...spreads.map(({ range }) => range)) || 1;
    if (forms.length === 0) return;
    if (forms.length === 1) {
      const { entries, constant } = this.#raised(forms[0]!, Number.POSITIVE_INFINITY);
      for (const [column, value] of entries) this.#costs[column]! += value / this.#scale;
      this.#constant = constant;
      return;
    }
    this.#constant = Math.max(...spreads.map(({ least }) => least));
    const largest = this.#column(1, "free");
    for (const form of forms) {
      const { entries, constant } = this.#raised(form, Number.POSITIVE_INFINITY);
      const scaled = new Map([...entries].map(([column, value]) => [column, value / this.#scale]));
      const upper = (this.#constant - constant) / this.#scale;
      this.#rows.push({ lower: Number.NEGATIVE_INFINITY, upper, entries: scaled.set(largest, -1) });
    }
  }

  limit(form: LinearForm, limit: number): void {
    const { least } = spread(this.#groups, form, this.#isAllowed);
    const room = Math.max(0, limit - least);
    const { entries } = this.#raised(form, room + rounding * Math.abs(limit));
    const largest = [...entries.values()].reduce((most, value) => Math.max(most, value), 0);
    if (largest <= rounding * Math.abs(limit)) return;
    const scaled = new Map([...entries].map(([column, value]) => [column, value / largest]));
    this.#rows.push({ lower: Number.NEGATIVE_INFINITY, upper: room / largest, entries: scaled });
  }

  /** A limit whose excess costs its share of the limit. */
  soften(form: LinearForm, limit: number): void {
    const { entries, constant } = this.#raised(form, Number.POSITIVE_INFINITY);
    const scaled = new Map([...entries].map(([column, value]) => [column, value / limit]));
    scaled.set(this.#column(1 / this.#scale, "excess"), -1);
    this.#rows.push({ lower: Number.NEGATIVE_INFINITY, upper: 1 - constant / limit, entries: scaled });
  }

  /** Keeps one assignment from being an answer again. */
  exclude(assignment: Assignment): void {
    const entries = new Map(assignment.map((c, g) => [this.#columns.get(this.#offsets[g]! + c)!, 1]));
    this.#rows.push({ lower: Number.NEGATIVE_INFINITY, upper: assignment.length - 1, entries });
  }

  data(integer: boolean): ModelData {
    const starts = [0];
    for (const { entries } of this.#rows) starts.push(starts.at(-1)! + entries.size);
    return {
      numCols: this.#costs.length,
      numRows: this.#rows.length,
      colCost: this.#costs,
      colLower: this.#lower,
      colUpper: this.#upper,
      rowLower: this.#rows.map(({ lower }) => lower),
      rowUpper: this.#rows.map(({ upper }) => upper),
      matrix: {
        format: "csr",
        numRows: this.#rows.length,
        numCols: this.#costs.length,
        starts,
        indices: this.#rows.flatMap(({ entries }) => [...entries.keys()]),
        values: this.#rows.flatMap(({ entries }) => [...entries.values()]),
      },
      ...(integer && { integrality: this.#isBinary.map((binary) => (binary ? 1 : 0)) }),
    };
  }

  /** What one unit of the solver's objective stands for. */
  get scale(): number {
    return this.#scale;
  }

  /** What the solver's objective stands for. */
  value(objective: number): number {
    return this.#constant + this.#scale * objective;
  }

  /** An optimum of the continuous relaxation, in units of what is minimized. */
  relaxed(model: Model): Relaxed {
    const { colDual } = model.getSolution();
    const reducedCosts = new Float64Array(this.#offsets.at(-1)!).fill(Number.POSITIVE_INFINITY);
    for (const [choice, column] of this.#columns) reducedCosts[choice] = this.#scale * colDual[column]!;
    // A choice takes the place of another one of its group, whose own may be below zero: it is kept from growing by its bound.
    for (const g of this.#groups.keys()) {
      const own = reducedCosts.subarray(this.#offsets[g]!, this.#offsets[g + 1]!);
      const least = Math.min(...own);
      own.forEach((cost, c) => {
        own[c] = cost - least;
      });
    }
    return { shares: this.shares(model), reducedCosts };
  }

  shares(model: Model): Float64Array {
    const { colValue } = model.getSolution();
    const shares = new Float64Array(this.#offsets.at(-1)!);
    for (const [choice, column] of this.#columns) shares[choice] = colValue[column]!;
    return shares;
  }

  assignment(model: Model): number[] {
    const shares = this.shares(model);
    return this.#groups.map(({ choices }, g) => {
      const own = shares.subarray(this.#offsets[g]!, this.#offsets[g]! + choices.length);
      return own.indexOf(Math.max(...own));
    });
  }

  /** A form's coefficients by column, each group's and table's least one taken off. Combinations above `most` are left out of the model. */
  #raised(form: LinearForm, most: number): { readonly entries: Entries; readonly constant: number } {
    const { leastOf, leastOfTable, least } = spread(this.#groups, form, this.#isAllowed);
    const entries: Entries = new Map();
    for (const [g, { choices }] of this.#groups.entries()) {
      for (const c of choices.keys()) {
        const choice = this.#offsets[g]! + c;
        const value = form.choices[choice]! - leastOf[g]!;
        if (this.#isAllowed(choice) && value !== 0) entries.set(this.#columns.get(choice)!, value);
      }
    }
    for (const [t, table] of form.tables.entries()) {
      for (const [column, value] of this.#shares(table, leastOfTable[t]! + most)) {
        if (value !== leastOfTable[t]!) entries.set(column, value - leastOfTable[t]!);
      }
    }
    return { entries, constant: least };
  }

  /** Adds a table's combinations: a share of each, whose marginals are the shares of the choices. Returns the value of each column. */
  #shares({ groups, classes, counts, values }: Table, most: number): Entries {
    const added: Entries = new Map();
    const marginals = counts.map((count) => Array.from({ length: count }, (): Entries => new Map()));
    for (const [axis, g] of groups.entries()) {
      for (const [c, k] of classes[axis]!.entries()) {
        const column = this.#columns.get(this.#offsets[g]! + c);
        if (column !== undefined) marginals[axis]![k]!.set(column, -1);
      }
    }
    const isPossible = marginals.map((axis) => axis.map((entries) => entries.size > 0));
    for (const [at, value] of values.entries()) {
      const place = placeOf(at, counts);
      if (value > most || place.some((k, axis) => !isPossible[axis]![k]!)) continue;
      const column = this.#column(0, "share");
      added.set(column, value);
      for (const [axis, k] of place.entries()) marginals[axis]![k]!.set(column, 1);
    }
    for (const entries of marginals.flat()) if (entries.size > 0) this.#rows.push({ lower: 0, upper: 0, entries });
    return added;
  }

  #column(cost: number, kind: "choice" | "share" | "excess" | "free"): number {
    this.#lower.push(kind === "free" ? Number.NEGATIVE_INFINITY : 0);
    this.#upper.push(kind === "choice" || kind === "share" ? 1 : Number.POSITIVE_INFINITY);
    this.#isBinary.push(kind === "choice");
    return this.#costs.push(cost) - 1;
  }
}

/** The indices along each axis of a place in a row-major table. */
function placeOf(at: number, counts: readonly number[]): number[] {
  const place = new Array<number>(counts.length);
  let rest = at;
  for (let axis = counts.length - 1; axis >= 0; axis--) {
    place[axis] = rest % counts[axis]!;
    rest = Math.floor(rest / counts[axis]!);
  }
  return place;
}
