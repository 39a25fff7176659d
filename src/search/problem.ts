import type { LayerChoice } from "../formats.js";
import type { Control } from "../progress.js";

/** Layers that take the same choice: one variable of the search. */
export interface SearchGroup {
  readonly id: string;
  readonly layers: readonly string[];
  /** Float first. */
  readonly choices: readonly GroupChoice[];
  /** How much an error in this group's tensors matters for its size, whatever the format: HAWQ-V2 sorts by it. */
  readonly sensitivity: number;
}

export interface GroupChoice {
  readonly choice: LayerChoice;
  /** Predicted rise of the loss when this group alone takes it; a wider format never costs more. */
  readonly cost: number;
}

/** Index of the choice of each group, in group order; 0 is float. */
export type Assignment = readonly number[];

/** A table over the choices of a few groups: row-major, the last group fastest. */
export interface Factor {
  readonly groups: readonly number[];
  readonly values: Float64Array;
}

/** `footprint` is size and time together, each as a share of the float model's; `lossError` the predicted mean square of the loss's error. */
export type ResourceName = "bytes" | "latencyMs" | "macs" | "footprint" | "lossError";

/** Something that a configuration uses: a fixed part, and the sum of factors. */
export interface Resource {
  readonly name: ResourceName;
  readonly fixed: number;
  readonly factors: readonly Factor[];
  readonly limit?: number;
}

/** What the samples say about an assignment. */
export interface Judgement {
  /** null when nothing was run: without a band predictions decide. */
  readonly metric: number | null;
  /** Mean divergence from the float model; as predicted when nothing was run. */
  readonly divergence: number;
  /** By how much the user's band is left: each limit's excess as a share of the limit, summed; 0 inside, and without a band. */
  readonly excess: number;
}

/** A judgement together with what the assignment uses. */
export interface Verdict extends Judgement {
  /** Whether every limit holds, the band and those on resources. */
  readonly feasible: boolean;
}

export interface SearchProblem {
  readonly groups: readonly SearchGroup[];
  /**
   * Second-order terms between choices. One row for each choice of each group, in order; symmetric, zero on the diagonal. Predicted loss of an
   * assignment: the sum of its costs and of the terms of its pairs. Terms between choices of one group are in no pair; where a form like U^T U
   * gives them they keep its convexity, and zero does as well.
   */
  readonly interactions?: readonly Float64Array[];
  /** Bytes, and what else is known. */
  readonly resources: readonly Resource[];
  /** What is made small inside the band. */
  readonly minimize: ResourceName;
  /**
   * Whether there is a band, by which `evaluate` judges, or a limit on the loss's error among those on resources. Without one the predicted loss is made small
   * inside the limits on resources.
   */
  readonly band: boolean;
  /** Of what a search draws. */
  readonly seed: number;
  /** Runs the model as assigned on the search samples. */
  evaluate(assignment: Assignment): Promise<Judgement>;
}

/** One step of a search, for the report. */
export interface SearchStep {
  /** What was tried, in words. */
  readonly tried: string;
  readonly verdict: Verdict;
  readonly bytes: number;
}

export interface SearchResult {
  /** The best assignment seen that meets every limit; when none did, the one with the smallest excess. */
  readonly assignment: Assignment;
  readonly verdict: Verdict;
  readonly steps: readonly SearchStep[];
  /** A way from float to the assignment, least harm first; undoing from the end is the way back when verification fails. */
  readonly lowered: readonly Lowering[];
  /** What was evaluated and found outside of the band. */
  readonly outside: readonly Assignment[];
  /** Why the search ended. */
  readonly stopped: string;
  /** How good the predictions say that the assignment is, from searches that prove it. */
  readonly proof?: Proof;
}

/** What no assignment inside the limits on resources can fall below, as predicted. */
export interface Proof {
  readonly minimized: "loss" | ResourceName;
  /** Largest predicted loss that was allowed, where that was not what is minimized. */
  readonly lossBudget?: number;
  readonly value: number;
  readonly bound: number;
  /** (value - bound) / value; 0 when it is optimal. */
  readonly gap: number;
}

export interface Lowering {
  readonly group: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Finds a good assignment. Deterministic; on an abort the best found so far is the result.
 * @throws BitwrightError `infeasible` when not even the float model is inside the band.
 */
export type Search = (problem: SearchProblem, control: Control) => Promise<SearchResult>;
