import { choiceKey, type Format, formats, type LayerChoice } from "../formats.js";
import type { Assignment, Lowering, SearchGroup } from "./problem.js";

/** A narrowing that every group may or may not take. */
export interface Level {
  readonly name: string;
  /** The choice behind this one, or undefined when the level does not apply to it. */
  next(choice: LayerChoice): LayerChoice | undefined;
}

/**
 * The narrowings that searches go through, wide formats first: weight and activation together, then the weight alone where
 * the activation has to stay wide, then narrower weights.
 */
export function levelsOf(groups: readonly SearchGroup[]): Level[] {
  const offered = groups.flatMap(({ choices }) => choices.map(({ choice }) => choice));
  const weights = widths(offered.map(({ weight }) => weight));
  const activations = widths(offered.map(({ activation }) => activation));
  const levels: Level[] = [];
  for (const [i, weight] of weights.entries()) {
    const wider = i === 0 ? "float" : weights[i - 1]!;
    for (const activation of activations) {
      const name = `weight ${weight}, activation ${activation}`;
      levels.push({
        name,
        next: (from) => (from.weight === wider && from.activation === "float" ? { weight, activation } : undefined),
      });
    }
    levels.push({
      name: `weight ${weight}`,
      next: (from) => (from.weight === wider ? { weight, activation: from.activation } : undefined),
    });
  }
  return levels;
}

/** The quantized formats among these, widest first. */
function widths(found: readonly Format[]): Format[] {
  return [...new Set(found)].filter((format) => format !== "float").sort((a, b) => formats[b].bits - formats[a].bits);
}

/** What a level can lower from here, the least predicted harm first. */
export function candidates(groups: readonly SearchGroup[], assignment: Assignment, level: Level): Lowering[] {
  const found = groups.flatMap(({ choices }, group) => {
    const from = assignment[group]!;
    const next = level.next(choices[from]!.choice);
    const to = next === undefined ? -1 : choices.findIndex(({ choice }) => choiceKey(choice) === choiceKey(next));
    if (to < 0 || choices[to]!.bytes > choices[from]!.bytes) return [];
    return [{ group, from, to, harm: choices[to]!.cost - choices[from]!.cost }];
  });
  return found.sort((a, b) => a.harm - b.harm || a.group - b.group).map(({ group, from, to }) => ({ group, from, to }));
}

/** The assignment after some lowerings. */
export function lower(assignment: Assignment, lowerings: readonly Lowering[]): number[] {
  const lowered = [...assignment];
  for (const { group, to } of lowerings) lowered[group] = to;
  return lowered;
}
