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

/** Samples times probes or directions of a pass, each of which holds tensors of its own. */
const directionsAtOnce = 64;

/** Samples that go through the network together with so many probes or directions each: fewer than without any, so that memory stays. */
export function batchFor({ batchSize }: Pick<SourceContext, "batchSize">, directions: number): number {
  return Math.min(batchSize, Math.ceil(directionsAtOnce / directions));
}
