import type { SensitivityContext } from "../criterion.js";
import type { Interactions } from "../interactions.js";

/** What sources work with. */
export type SourceContext = Omit<SensitivityContext, "interactions" | "known" | "onScores">;

/** Computes the second-order terms between all choices of all sites. */
export type Source = (context: SourceContext, resume: Resume) => Promise<Interactions>;

/** How a source that takes long goes on after an interruption. */
export interface Resume {
  /** Rows up to the diagonal that an earlier run has finished. */
  readonly known: readonly (readonly number[])[];
  /** Takes the rows finished so far. */
  readonly onRows: (rows: readonly (readonly number[])[]) => Promise<void>;
}
