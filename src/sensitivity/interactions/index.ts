import type { InteractionSource } from "../interactions.js";
import { fisher } from "./fisher.js";
import { gaussNewton } from "./gauss-newton.js";
import { hessian } from "./hessian.js";
import { measured } from "./measured.js";
import type { Source } from "./source.js";

/** Sources by the name that `--interactions` takes. */
export const sources = { measured, hessian, "gauss-newton": gaussNewton, fisher } as const satisfies Record<
  Exclude<InteractionSource, "none">,
  Source
>;
