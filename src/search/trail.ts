import { BitwrightError } from "../errors.js";
import { type Control, Stage } from "../progress.js";
import { lower, pathTo } from "./levels.js";
import type {
  Assignment,
  Lowering,
  Proof,
  ResourceName,
  SearchProblem,
  SearchResult,
  SearchStep,
  Verdict,
} from "./problem.js";
import { excessOf, usedOf } from "./score.js";

/** An assignment that has been evaluated. */
interface Tried {
  readonly assignment: Assignment;
  readonly verdict: Verdict;
  readonly used: readonly number[];
  /** By how much all limits are exceeded, those on resources and the band. */
  readonly excess: number;
  /** The way from float, of searches that go step by step. */
  readonly lowered?: readonly Lowering[];
}

/** Keeps what a search has tried and the best of it, so that it can be stopped at any time. Nothing is evaluated twice. */
export class Trail {
  readonly problem: SearchProblem;
  readonly #stage: Stage;
  readonly #steps: SearchStep[] = [];
  readonly #tried = new Map<string, Tried>();
  #current: Tried | undefined;
  #best: Tried | undefined;

  constructor(problem: SearchProblem, name: string, evaluations: number, control: Control) {
    this.problem = problem;
    this.#stage = new Stage(control, name, evaluations);
  }

  /** Where a search that goes step by step has got to. */
  get current(): Assignment {
    return this.#current!.assignment;
  }

  get best(): { readonly assignment: Assignment; readonly verdict: Verdict } | undefined {
    return this.#best;
  }

  /** Evaluates the float model, which is where every search starts. */
  async start(): Promise<void> {
    this.#current = await this.#try(
      "float",
      this.problem.groups.map(() => 0),
      [],
    );
    if (this.#current.verdict.excess > 0) {
      throw new BitwrightError("infeasible", "even the float model does not meet the limits on the search samples");
    }
  }

  /** Tries further lowerings of the current assignment; takes them when the band holds and limits on resources come no farther away. */
  async attempt(tried: string, lowerings: readonly Lowering[]): Promise<boolean> {
    const from = this.#current!;
    const lowered = [...from.lowered!, ...lowerings];
    const next = await this.#try(tried, lower(from.assignment, lowerings), lowered);
    const taken = next.verdict.excess === 0 && next.excess <= from.excess;
    if (taken) this.#current = { ...next, lowered };
    return taken;
  }

  /** Tries an assignment wherever it comes from. */
  async propose(tried: string, assignment: Assignment): Promise<Verdict> {
    return (await this.#try(tried, assignment)).verdict;
  }

  result(stopped: string, proof?: Proof): SearchResult {
    const { assignment, verdict, lowered } = this.#best!;
    return {
      assignment,
      verdict,
      steps: this.#steps,
      lowered: lowered ?? pathTo(this.problem.groups, assignment),
      outside: [...this.#tried.values()].filter((tried) => tried.verdict.excess > 0).map((tried) => tried.assignment),
      stopped: verdict.feasible ? stopped : `no configuration that was tried meets every limit; ${stopped}`,
      ...(proof !== undefined && { proof }),
    };
  }

  async #try(name: string, assignment: Assignment, lowered?: readonly Lowering[]): Promise<Tried> {
    const key = assignment.join();
    const known = this.#tried.get(key);
    if (known !== undefined) return known;
    const { groups, resources } = this.problem;
    const used = resources.map((resource) => usedOf(groups, resource, assignment));
    const judgement = await this.problem.evaluate(assignment);
    const excess = judgement.excess + excessOf(resources, used);
    const verdict = { ...judgement, feasible: excess === 0 };
    const tried = { assignment, verdict, used, excess, ...(lowered !== undefined && { lowered }) };
    this.#tried.set(key, tried);
    if (this.#best === undefined || this.#isBetter(tried, this.#best)) this.#best = tried;
    this.#steps.push({ tried: name, verdict, bytes: this.#usedOf(tried, "bytes") });
    this.#stage.step(name);
    return tried;
  }

  #isBetter(a: Tried, b: Tried): boolean {
    if (a.excess !== b.excess) return a.excess < b.excess;
    const { band, minimize } = this.problem;
    if (!band) return a.verdict.divergence < b.verdict.divergence;
    return this.#usedOf(a, minimize) < this.#usedOf(b, minimize);
  }

  #usedOf({ used }: Tried, name: ResourceName): number {
    return used[this.problem.resources.findIndex((resource) => resource.name === name)]!;
  }
}

/** Runs a search's steps; an abort after the first evaluation ends it with the best so far. */
export async function untilAborted(
  trail: Trail,
  steps: () => Promise<{ readonly stopped: string; readonly proof?: Proof }>,
): Promise<SearchResult> {
  try {
    await trail.start();
    const { stopped, proof } = await steps();
    return trail.result(stopped, proof);
  } catch (error) {
    if (error instanceof BitwrightError && error.code === "aborted" && trail.best !== undefined)
      return trail.result("aborted");
    throw error;
  }
}
