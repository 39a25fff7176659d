import { choiceKey, type Format, formats, type LayerChoice } from "../formats.js";
import type { Assignment, Lowering, SearchGroup } from "./problem.js";
import { type Predictable, Score } from "./score.js";

/** A choice that every group may or may not take. */
export interface Level {
  readonly name: string;
  readonly choice: LayerChoice;
}

/**
 * The choices that searches go through: wide weights first, and of one width of weights wide activations first; weights alone, where the
 * activations have to stay float, come behind those with both.
 */
export function levelsOf(groups: readonly SearchGroup[]): Level[] {
  const offered = new Map<string, LayerChoice>();
  for (const { choices } of groups) for (const { choice } of choices) offered.set(choiceKey(choice), choice);
  offered.delete(choiceKey({ weight: "float", activation: "float" }));
  return [...offered.values()].sort(byWidth).map((choice) => ({ name: nameOf(choice), choice }));
}

const formatNames = Object.keys(formats) as Format[];

function byWidth(a: LayerChoice, b: LayerChoice): number {
  const activation = (format: Format) => (format === "float" ? 0 : formats[format].bits);
  return (
    formats[b.weight].bits - formats[a.weight].bits ||
    formatNames.indexOf(a.weight) - formatNames.indexOf(b.weight) ||
    activation(b.activation) - activation(a.activation) ||
    formatNames.indexOf(a.activation) - formatNames.indexOf(b.activation)
  );
}

function nameOf({ weight, activation }: LayerChoice): string {
  return activation === "float" ? `weight ${weight}` : `weight ${weight}, activation ${activation}`;
}

/** Whether one choice has fewer bits than another in a tensor, and in none more. */
export function isNarrower(choice: LayerChoice, than: LayerChoice): boolean {
  const weight = formats[choice.weight].bits - formats[than.weight].bits;
  const activation = formats[choice.activation].bits - formats[than.activation].bits;
  return weight <= 0 && activation <= 0 && weight + activation < 0;
}

/** Puts lowerings into the order in which they are tried. */
export type Order = (problem: Predictable, assignment: Assignment, lowerings: readonly Lowering[]) => Lowering[];

/** What a level can lower from here, in order. */
export function candidates(problem: Predictable, assignment: Assignment, level: Level, order: Order): Lowering[] {
  const { groups, resources } = problem;
  const score = new Score(problem, assignment);
  const bytes = resources.findIndex(({ name }) => name === "bytes");
  const key = choiceKey(level.choice);
  const found = groups.flatMap(({ choices }, group): Lowering[] => {
    const from = assignment[group]!;
    const to = choices.findIndex(({ choice }) => choiceKey(choice) === key);
    if (to < 0 || !isNarrower(level.choice, choices[from]!.choice)) return [];
    return score.usedChange(bytes, group, to) > 0 ? [] : [{ group, from, to }];
  });
  return order(problem, assignment, found);
}

/**
 * The least predicted harm first. Harm of a group (the order of arXiv 2306.04879): what it costs, and the sum of its interactions with every
 * other group in a network that is otherwise at this level.
 */
export const byHarm: Order = (problem, assignment, lowerings) => {
  const score = new Score(problem, lower(assignment, lowerings));
  const harms = new Map(lowerings.map((lowering) => [lowering, -score.lossChange(lowering.group, lowering.from)]));
  return [...lowerings].sort((a, b) => harms.get(a)! - harms.get(b)! || a.group - b.group);
};

/** The order of the groups, which is that of the graph. */
export const byPosition: Order = (_problem, _assignment, lowerings) => [...lowerings];

/** The assignment after some lowerings. */
export function lower(assignment: Assignment, lowerings: readonly Lowering[]): number[] {
  const lowered = [...assignment];
  for (const { group, to } of lowerings) lowered[group] = to;
  return lowered;
}

/** A way from float to an assignment, over the choices between, such that what costs least comes first. */
export function pathTo(groups: readonly SearchGroup[], assignment: Assignment): Lowering[] {
  const steps = groups.flatMap(({ choices }, group) => {
    const end = choices[assignment[group]!]!;
    const between = choices
      .map(({ choice, cost }, to) => ({ choice, cost, to }))
      .filter(({ choice, to }) => to !== 0 && isNarrower(end.choice, choice))
      .sort((a, b) => byWidth(a.choice, b.choice));
    const chain = [0];
    for (const { choice, to } of between) if (isNarrower(choice, choices[chain.at(-1)!]!.choice)) chain.push(to);
    if (assignment[group] !== 0) chain.push(assignment[group]!);
    let cost = 0;
    return chain.slice(1).map((to, i) => {
      cost = Math.max(cost, choices[to]!.cost);
      return { lowering: { group, from: chain[i]!, to }, cost };
    });
  });
  // Stable: the steps of one group stay in their order.
  return steps.sort((a, b) => a.cost - b.cost).map(({ lowering }) => lowering);
}
