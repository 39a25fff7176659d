import { formats, type LayerChoice } from "./formats.js";
import type { Assignment, GroupChoice, Resource, ResourceName, SearchProblem, SearchResult } from "./search/problem.js";
import { excessOf, predictedLoss, Score } from "./search/score.js";

/** Of a search that has ended: the problem that it solved, and what it found. */
export interface Searched {
  readonly problem: SearchProblem;
  readonly result: SearchResult;
}

// Sums over many groups, taken in different orders, differ in their last digits.
const rounding = 1e-9;

/**
 * Why each group has its choice: what it costs, and what spoke against the cheapest narrower one in the place where the search stood.
 * @param assignment - What the groups have: as searched, but for what verification took back.
 */
export function explainChoices({ problem, result }: Searched, assignment: Assignment): string[] {
  const found = new Score(problem, result.assignment);
  const leastRefused = Math.min(...result.outside.map((refused) => predictedLoss(problem, refused)));
  return problem.groups.map(({ choices }, group) => {
    const now = choices[assignment[group]!]!;
    const cost = assignment[group] === 0 ? "kept float" : `costs ${number(now.cost)}`;
    const searched = result.assignment[group]!;
    if (searched !== assignment[group]) {
      const { choice, cost: wouldCost } = choices[searched]!;
      return `${cost}; ${name(choice, now.choice)}, which would cost ${number(wouldCost)}, taken back after verification`;
    }
    const to = nextNarrower(choices, now);
    if (to === undefined) return `${cost}; the narrowest offered`;
    const narrower = choices[to]!;
    const reason = reasonAgainst(problem, found, leastRefused, group, to);
    return `${cost}; ${name(narrower.choice, now.choice)} would cost ${number(narrower.cost)}${reason}`;
  });
}

/** Of the choices that are narrower in a tensor the one that costs least, and more than the present one if there is such. */
function nextNarrower(choices: readonly GroupChoice[], now: GroupChoice): number | undefined {
  const narrower = [...choices.keys()]
    .filter((c) => isNarrowerSomewhere(choices[c]!.choice, now.choice))
    .sort((a, b) => choices[a]!.cost - choices[b]!.cost);
  return narrower.find((c) => choices[c]!.cost > now.cost) ?? narrower[0];
}

function isNarrowerSomewhere(choice: LayerChoice, than: LayerChoice): boolean {
  return (["weight", "activation"] as const).some((kind) => formats[choice[kind]].bits < formats[than[kind]].bits);
}

/** What keeps one group of the found assignment from a choice, behind what it would cost. */
function reasonAgainst(problem: SearchProblem, found: Score, leastRefused: number, group: number, to: number): string {
  const { resources, band, minimize } = problem;
  const change = found.lossChange(group, to);
  const used = found.used.map((amount, r) => amount + found.usedChange(r, group, to));
  const isMet = excessOf(resources, found.used) === 0;
  if (!band && isMet && change > 0) return ", and the limits are met without it";
  const exceeded = exceededMore(resources, found.used, used);
  if (exceeded.length > 0)
    return `, and the limit on ${exceeded.map((resource) => limited[resource]).join(", ")} does not leave it`;
  const objective = resources.findIndex((resource) => resource.name === minimize);
  if (band && isMet && used[objective]! >= found.used[objective]! * (1 - rounding))
    return `, and would not ${lessen(minimize, resources)}`;
  if (band && found.loss + change >= leastRefused * (1 - rounding)) return ", more than the limits leave";
  return "; the search did not try it here";
}

/** The limits that are farther away with one use of resources than with another. */
function exceededMore(
  resources: readonly Resource[],
  before: readonly number[],
  after: readonly number[],
): ResourceName[] {
  return resources
    .filter((resource, r) => excessOf([resource], [after[r]!]) > excessOf([resource], [before[r]!]))
    .map((resource) => resource.name);
}

const limited = {
  bytes: "size",
  latencyMs: "latency",
  macs: "multiply-accumulates",
  lossError: "the loss's error",
  footprint: "size and time",
} as const satisfies Record<ResourceName, string>;

function lessen(minimize: ResourceName, resources: readonly Resource[]): string {
  if (minimize === "bytes") return "make the file smaller";
  if (minimize === "latencyMs") return "make the model faster";
  if (minimize !== "footprint") return `lessen ${limited[minimize]}`;
  // Multiply-accumulates stand for time where that is not known.
  const time = resources.some(({ name }) => name === "latencyMs") ? "time" : "multiply-accumulates";
  return `lessen size and ${time} taken together`;
}

/** A choice by what it changes. */
function name({ weight, activation }: LayerChoice, now: LayerChoice): string {
  if (activation === now.activation) return `${weight} weights`;
  return weight === now.weight ? `${activation} activations` : `${weight} weights and ${activation} activations`;
}

function number(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}
