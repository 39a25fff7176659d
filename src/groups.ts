import type { PlannedLayer } from "./export/targets/target.js";
import { choiceKey, type LayerChoice } from "./formats.js";

/** Layers that must take the same choice. */
export interface LayerGroup {
  /** The layer's name, or the group's where there are several. */
  readonly id: string;
  readonly layers: readonly PlannedLayer[];
  /** What every one of them may be; float first. */
  readonly choices: readonly LayerChoice[];
}

/** The groups of a model's layers, in the order of their first layers. */
export function groupLayers(layers: readonly PlannedLayer[]): LayerGroup[] {
  const members = new Map<string, PlannedLayer[]>();
  for (const layer of layers) members.set(layer.group, [...(members.get(layer.group) ?? []), layer]);
  return [...members].map(([id, group]) => ({
    id: group.length === 1 ? group[0]!.node : id,
    layers: group,
    choices: sharedChoices(group),
  }));
}

/** The choices that every layer of a group has; float is always among them. */
function sharedChoices(group: readonly PlannedLayer[]): LayerChoice[] {
  const [first, ...others] = group.map(({ choices }) => choices);
  return first!.filter((choice) =>
    others.every((choices) => choices.some((other) => choiceKey(other) === choiceKey(choice))),
  );
}
