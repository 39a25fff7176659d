import type { LayerChoice } from "../formats.js";
import type { Control } from "../progress.js";

/** Layers that take the same choice. */
export interface SearchGroup {
  readonly id: string;
  readonly layers: readonly string[];
  readonly choices: readonly GroupChoice[];
}

export interface GroupChoice {
  readonly choice: LayerChoice;
  /** Predicted rise of the loss when the whole group takes it. */
  readonly cost: number;
  /** Of the group's weights in the file. */
  readonly bytes: number;
}

/** Index of the choice of each group, in group order; 0 is float. */
export type Assignment = readonly number[];

/** What an assignment does on the search samples. */
export interface Verdict {
  /** Whether it lies inside the user's band. */
  readonly feasible: boolean;
  readonly metric: number;
  readonly divergence: number;
}

export interface SearchProblem {
  readonly groups: readonly SearchGroup[];
  /** Runs the model as assigned on the search samples. */
  evaluate(assignment: Assignment): Promise<Verdict>;
}

/** One step of a search, for the report. */
export interface SearchStep {
  /** What was tried, in words. */
  readonly tried: string;
  readonly verdict: Verdict;
  readonly bytes: number;
}

export interface SearchResult {
  /** The smallest feasible assignment seen; the float one when none was. */
  readonly assignment: Assignment;
  readonly verdict: Verdict;
  readonly steps: readonly SearchStep[];
  /** Groups in the order in which they were lowered; undoing from the end is the way back when verification fails. */
  readonly lowered: readonly Lowering[];
  /** Why the search ended. */
  readonly stopped: string;
}

export interface Lowering {
  readonly group: number;
  readonly from: number;
  readonly to: number;
}

/** Finds a small assignment inside the band. Deterministic; on an abort the best found so far is the result. */
export type Search = (problem: SearchProblem, control: Control) => Promise<SearchResult>;

/** Bytes of all weights as assigned. */
export function bytesOf({ groups }: Pick<SearchProblem, "groups">, assignment: Assignment): number {
  return groups.reduce((sum, group, g) => sum + group.choices[assignment[g]!]!.bytes, 0);
}
