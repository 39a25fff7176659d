import type { InteractionSource } from "../interactions.js";
import { measured } from "./measured.js";
import type { Source } from "./source.js";

/** Sources by the name that `--interactions` takes. */
export const sources: Partial<Record<InteractionSource, Source>> = { measured };
