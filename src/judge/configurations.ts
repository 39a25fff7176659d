import type { LayerChoice } from "../formats.js";
import type { LayerGroup } from "../groups.js";
import { uniformNumbers } from "../random.js";

/**
 * Random configurations from nearly float to nearly all narrow: each draws how many of its groups are quantized, and how eagerly those take the
 * narrower choices, then every group draws for itself. The same seed gives the same configurations.
 */
export function randomConfigurations(
  groups: readonly LayerGroup[],
  count: number,
  seed: number,
): Map<string, LayerChoice>[] {
  const uniform = uniformNumbers(seed);
  return Array.from({ length: count }, () => {
    const quantized = uniform();
    const eagerness = uniform();
    return new Map(
      groups.flatMap(({ layers, choices }) => {
        const choice = uniform() < quantized ? drawn(choices.slice(1), uniform(), eagerness) : undefined;
        return layers.map(({ node }) => [node, choice ?? choices[0]!] as const);
      }),
    );
  });
}

/** Choices come from wide to narrow; an eager draw lands among the last of them. */
function drawn(choices: readonly LayerChoice[], at: number, eagerness: number): LayerChoice | undefined {
  return choices[Math.floor(choices.length * at ** (2 ** (1 - 2 * eagerness)))];
}
