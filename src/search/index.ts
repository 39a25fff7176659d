import { bisection, prefix, random } from "./bisection.js";
import { greedy } from "./greedy.js";
import type { Search } from "./problem.js";

/** Searches by the name that `--search` takes. */
export const searches = { bisection, greedy, random, prefix } as const satisfies Record<string, Search>;

export type SearchName = keyof typeof searches;
