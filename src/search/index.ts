import { bisection, prefix, random } from "./bisection.js";
import { greedy } from "./greedy.js";
import { integerProgram } from "./integer-program.js";
import { pareto } from "./pareto.js";
import { paretoFront } from "./pareto-front.js";
import type { Search } from "./problem.js";
import { quadraticProgram } from "./quadratic-program.js";

/** Searches by the name that `--search` takes. */
export const searches = {
  bisection,
  greedy,
  pareto,
  "pareto-front": paretoFront,
  "integer-program": integerProgram,
  "quadratic-program": quadraticProgram,
  random,
  prefix,
} as const satisfies Record<string, Search>;

export type SearchName = keyof typeof searches;
