import { BitwrightError } from "./errors.js";

/** How much of something a configuration may use: so much, or a share of what the float model uses. */
export type Amount = { readonly absolute: number } | { readonly share: number };

/** Factors of the units that an amount can be written in; the first one's name stands in messages. */
export type Units = Readonly<Record<string, number>>;

export const sizeUnits: Units = { MB: 1e6, B: 1, kB: 1e3, KB: 1e3, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
export const timeUnits: Units = { ms: 1, us: 1e-3, s: 1e3 };
export const countUnits: Units = { M: 1e6, k: 1e3, G: 1e9, "": 1 };

/**
 * Parses an amount: with a unit (`4MB`, `3ms`), as a share of the float model's (`30%`), or as what is to go (`-70%`).
 * @param where - The option, for messages.
 * @throws BitwrightError `invalid-option`.
 */
export function parseAmount(text: string, units: Units, where: string): Amount {
  const [, sign, digits, unit] = /^\s*(-?)(\d+(?:\.\d+)?)\s*(%|[a-zA-Z]*)\s*$/.exec(text) ?? [];
  const number = Number(digits);
  if (unit === "%") {
    const share = sign === "-" ? (100 - number) / 100 : number / 100;
    if (share > 0 && share <= 1) return { share };
  } else if (digits !== undefined && sign === "" && number > 0) {
    const factor = units[unit!];
    if (factor !== undefined) return { absolute: number * factor };
  }
  const example = Object.keys(units)[0]!;
  throw new BitwrightError("invalid-option", "unusable amount", {
    where,
    expected: `a positive number with a unit (${Object.keys(units).filter(Boolean).join(", ")}) such as 4${example}, a share such as 30%, or a reduction such as -70%`,
    received: JSON.stringify(text),
  });
}

/** The amount in units of the float model's own. */
export function resolveAmount(amount: Amount, float: number): number {
  return "absolute" in amount ? amount.absolute : amount.share * float;
}
