import { formats, type WeightFormat } from "../formats.js";
import type { Assignment, Lowering, SearchGroup } from "./problem.js";

/**
 * Ways to store groups narrower again that verification took back: where their activations did the harm, their weights may still be narrow. One list for
 * each format of weights that floats can multiply, the widest first; in each the least predicted harm first.
 * @param kept - The assignment that holds.
 * @param searched - The one that did not.
 */
export function restorations(
  groups: readonly SearchGroup[],
  kept: Assignment,
  searched: Assignment,
): { readonly format: WeightFormat; readonly lowerings: readonly Lowering[] }[] {
  const found = new Map<WeightFormat, (Lowering & { readonly cost: number })[]>();
  for (const [group, { choices }] of groups.entries()) {
    const from = kept[group]!;
    if (from === searched[group] || choices[from]!.choice.activation !== "float") continue;
    for (const [to, { choice, cost }] of choices.entries()) {
      if (choice.weight === "float" || choice.activation !== "float") continue;
      if (formats[choice.weight].bits >= formats[choices[from]!.choice.weight].bits) continue;
      found.set(choice.weight, [...(found.get(choice.weight) ?? []), { group, from, to, cost }]);
    }
  }
  return [...found]
    .sort(([a], [b]) => formats[b].bits - formats[a].bits)
    .map(([format, lowerings]) => ({
      format,
      lowerings: lowerings
        .sort((a, b) => a.cost - b.cost || a.group - b.group)
        .map(({ group, from, to }) => ({ group, from, to })),
    }));
}
