import type { Pass } from "./pass.js";

/**
 * Makes initializers constants that old files list as graph inputs too (IR version 3 demanded it): engines fold and quantize only
 * what no caller can override.
 */
export const defaultInputs: Pass = {
  name: "default-inputs",
  run: ({ graph }) => {
    const defaults = graph.proto.input.filter(({ name }) => graph.initializer(name) !== undefined);
    for (const { name } of defaults) graph.removeInput(name);
    if (defaults.length === 0) return [];
    const names = defaults.map(({ name }) => `"${name}"`).join(", ");
    return [{ nodes: [], explanation: `made constants of ${defaults.length} inputs with a default value: ${names}` }];
  },
};
