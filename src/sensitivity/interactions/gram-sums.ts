import type { Interactions } from "../interactions.js";
import type { ChoiceErrors } from "./choice-errors.js";
import { mirrored, triangle } from "./matrix.js";

/**
 * Sums u u^T over vectors u of one number for each error, in double and in the order in which they come: by choice, with and without corrections of
 * biases.
 */
export class GramSums {
  readonly #owners: readonly number[];
  readonly #corrections: readonly boolean[];
  /** Of the vector that was added last: projections on whole choices. */
  readonly corrected: Float64Array;
  readonly #own: Float64Array;
  readonly #correctedSums: Float64Array[];
  readonly #ownSums: Float64Array[];
  readonly #isCorrected: boolean;

  constructor({ choices, owners, corrections }: ChoiceErrors) {
    this.#owners = owners;
    this.#corrections = corrections;
    this.#isCorrected = corrections.includes(true);
    this.corrected = new Float64Array(choices.length);
    this.#own = new Float64Array(choices.length);
    this.#correctedSums = triangle(choices.length);
    this.#ownSums = triangle(choices.length);
  }

  /** @param u - One number for each error. */
  add(u: ArrayLike<number>): void {
    this.corrected.fill(0);
    this.#own.fill(0);
    for (const [e, owner] of this.#owners.entries()) {
      this.corrected[owner]! += u[e]!;
      if (!this.#corrections[e]) this.#own[owner]! += u[e]!;
    }
    addProducts(this.corrected, this.#correctedSums);
    if (this.#isCorrected) addProducts(this.#own, this.#ownSums);
  }

  /** The sums over `count`, as matrices of {@link Interactions}. */
  means(count: number): Pick<Interactions, "matrix" | "corrected"> {
    const corrected = mirrored(this.#correctedSums.map((row) => row.map((sum) => sum / count)));
    if (!this.#isCorrected) return { matrix: corrected };
    return { matrix: mirrored(this.#ownSums.map((row) => row.map((sum) => sum / count))), corrected };
  }
}

function addProducts(u: Float64Array, sums: readonly Float64Array[]): void {
  for (let i = 0; i < u.length; i++) {
    const row = sums[i]!;
    const ui = u[i]!;
    for (let j = 0; j <= i; j++) row[j]! += ui * u[j]!;
  }
}
