import { bisection, prefix, random } from "./bisection.js";
import { greedy } from "./greedy.js";
import { integerProgram } from "./integer-program.js";
import type { Search } from "./problem.js";

/** Searches by the name that `--search` takes. */
export const searches = {
  bisection,
  greedy,
  "integer-program": integerProgram,
  random,
  prefix,
} as const satisfies Record<string, Search>;

export type SearchName = keyof typeof searches;
