import { InvalidArgumentError } from "commander";
import { parseAmount, sizeUnits } from "../amount.js";
import type { SampleRange } from "../options.js";

/** Parses `12`. */
export function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number.");
}

/** Parses `4GB`. */
export function bytes(text: string): number {
  const amount = parseAmount(text, sizeUnits, "memory");
  if ("absolute" in amount) return Math.floor(amount.absolute);
  throw new InvalidArgumentError("Expected a size such as 4GB.");
}

/** Parses `a,b,c`; every entry has to be one of the choices. */
export function listOf<T extends string>(choices: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(",").map((entry) => {
      const name = choices.find((choice) => choice === entry.trim());
      if (name !== undefined) return name;
      throw new InvalidArgumentError(`Expected names out of ${choices.join(", ")}, separated by commas.`);
    });
}

/** Parses `64`, the first samples of the search split, or `0:32`, samples of the data set. */
export function samples(text: string): number | SampleRange {
  const [, first, end] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (first !== undefined && end !== undefined) return { first: Number(first), end: Number(end) };
  return wholeNumber(text);
}
