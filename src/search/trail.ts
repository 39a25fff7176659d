import { BitwrightError } from "../errors.js";
import { type Control, Stage } from "../progress.js";
import { lower } from "./levels.js";
import {
  type Assignment,
  bytesOf,
  type Lowering,
  type SearchProblem,
  type SearchResult,
  type SearchStep,
  type Verdict,
} from "./problem.js";

/** Keeps what a search has tried and the best of it, so that it can be stopped at any time. */
export class Trail {
  readonly #problem: SearchProblem;
  readonly #stage: Stage;
  readonly #steps: SearchStep[] = [];
  #assignment: Assignment;
  #verdict: Verdict | undefined;
  #lowered: readonly Lowering[] = [];

  constructor(problem: SearchProblem, name: string, evaluations: number, control: Control) {
    this.#problem = problem;
    this.#stage = new Stage(control, name, evaluations);
    this.#assignment = problem.groups.map(() => 0);
  }

  /** The best feasible assignment so far. */
  get assignment(): Assignment {
    return this.#assignment;
  }

  /** Evaluates the float model, which is where every search starts. */
  async start(): Promise<void> {
    this.#verdict = await this.#problem.evaluate(this.#assignment);
    this.#note("float", this.#verdict, this.#assignment);
    if (!this.#verdict.feasible) {
      throw new BitwrightError("infeasible", "even the float model does not meet the limits on the search samples");
    }
  }

  /** Tries further lowerings of the best so far and takes them when the result is feasible. */
  async attempt(tried: string, lowerings: readonly Lowering[]): Promise<boolean> {
    const assignment = lower(this.#assignment, lowerings);
    const verdict = await this.#problem.evaluate(assignment);
    if (verdict.feasible) {
      this.#assignment = assignment;
      this.#verdict = verdict;
      this.#lowered = [...this.#lowered, ...lowerings];
    }
    this.#note(tried, verdict, assignment);
    return verdict.feasible;
  }

  result(stopped: string): SearchResult {
    return {
      assignment: this.#assignment,
      verdict: this.#verdict!,
      steps: this.#steps,
      lowered: this.#lowered,
      stopped,
    };
  }

  #note(tried: string, verdict: Verdict, assignment: Assignment): void {
    this.#steps.push({ tried, verdict, bytes: bytesOf(this.#problem, assignment) });
    this.#stage.step(tried);
  }
}

/** Runs a search's steps; an abort after the start ends it with the best so far. */
export async function untilAborted(trail: Trail, steps: () => Promise<string>): Promise<SearchResult> {
  await trail.start();
  try {
    return trail.result(await steps());
  } catch (error) {
    if (error instanceof BitwrightError && error.code === "aborted") return trail.result("aborted");
    throw error;
  }
}
