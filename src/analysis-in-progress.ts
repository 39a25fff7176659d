import type { Analysis, Unfinished } from "./analysis.js";
import type { SiteScores } from "./sensitivity/criterion.js";
import type { CriterionName } from "./sensitivity/index.js";
import type { Interactions } from "./sensitivity/interactions.js";

/** An analysis that grows part by part and is handed on, to be saved, whenever it has grown. */
export class AnalysisInProgress {
  #analysis: Analysis;
  readonly #onPart: ((analysis: Analysis) => Promise<void> | void) | undefined;

  constructor(known: Analysis, onPart: ((analysis: Analysis) => Promise<void> | void) | undefined) {
    this.#analysis = known;
    this.#onPart = onPart;
  }

  /** What it holds now. */
  get analysis(): Analysis {
    return this.#analysis;
  }

  /** Scores of some sites. */
  keepScores(name: CriterionName, scores: SiteScores): Promise<void> {
    const { unfinished } = this.#analysis;
    return this.#save({ unfinished: { ...unfinished, criteria: { ...unfinished?.criteria, [name]: scores } } });
  }

  /** Scores of all sites, and what else the criterion has found. */
  finishCriterion(
    name: CriterionName,
    scores: SiteScores,
    seconds: number,
    more: Pick<Analysis, "meanSquaredLoss">,
  ): Promise<void> {
    const { criteria, seconds: spent, unfinished } = this.#analysis;
    const { [name]: _, ...others } = unfinished?.criteria ?? {};
    return this.#finish(
      { criteria: { ...criteria, [name]: scores }, seconds: { ...spent, [name]: seconds }, ...more },
      { ...unfinished, criteria: others },
    );
  }

  /** The first rows of measured interactions. */
  keepRows(measured: readonly (readonly number[])[]): Promise<void> {
    return this.#save({ unfinished: { ...this.#analysis.unfinished, measured } });
  }

  finishInteractions(interactions: Interactions, seconds: number): Promise<void> {
    const { seconds: spent, unfinished } = this.#analysis;
    const { measured: _, ...others } = unfinished ?? {};
    return this.#finish({ interactions, seconds: { ...spent, [interactions.source]: seconds } }, others);
  }

  #finish(part: Partial<Analysis>, { criteria = {}, measured }: Unfinished): Promise<void> {
    const { unfinished: _, ...finished } = this.#analysis;
    this.#analysis = finished;
    const left: Unfinished = {
      ...(Object.keys(criteria).length > 0 && { criteria }),
      ...(measured !== undefined && { measured }),
    };
    return this.#save({ ...part, ...(Object.keys(left).length > 0 && { unfinished: left }) });
  }

  async #save(part: Partial<Analysis>): Promise<void> {
    this.#analysis = { ...this.#analysis, ...part };
    await this.#onPart?.(this.#analysis);
  }
}
