import type { Amount } from "./amount.js";
import { BitwrightError } from "./errors.js";
import { demand } from "./given.js";
import type { Limits } from "./options.js";

const limitNames: readonly string[] = [
  "keep",
  "maxDrop",
  "reach",
  "maxKl",
  "maxSize",
  "maxLatency",
  "maxMacs",
  "maxLossError",
] satisfies (keyof Limits)[];

/**
 * Checks limits that a program made; those of the command line were parsed.
 * @throws BitwrightError `invalid-option` for one that is no limit, or when there is none.
 */
export function checkLimits(limits: Limits): void {
  demand("options", limits, "limits");
  const { keep, maxDrop, reach, maxKl, maxSize, maxLatency, maxMacs, maxLossError } = limits;
  const unknown = Object.keys(limits).find((name) => !limitNames.includes(name));
  if (unknown !== undefined) fail(unknown, `no limit but ${limitNames.join(", ")}`, unknown);
  const given = Object.values(limits).filter((limit) => limit !== undefined);
  if (given.length === 0) {
    throw new BitwrightError("invalid-option", "a limit is missing", {
      where: "limits",
      expected: `${limitNames.join(", ")}, or several of them`,
    });
  }
  if (keep !== undefined && !(isPositive(keep) && keep <= 1)) fail("keep", "a share in (0, 1]", keep);
  if (maxDrop !== undefined && !isPositive(maxDrop)) fail("maxDrop", "a positive number", maxDrop);
  if (reach !== undefined && !Number.isFinite(reach)) fail("reach", "a finite number", reach);
  if (maxKl !== undefined && !isPositive(maxKl)) fail("maxKl", "a positive number of nats", maxKl);
  if (maxLossError !== undefined && !isPositive(maxLossError)) fail("maxLossError", "a positive share", maxLossError);
  for (const [name, amount] of Object.entries({ maxSize, maxLatency, maxMacs })) {
    if (amount !== undefined && !isAmount(amount)) {
      fail(name, "{ absolute } with a positive number, or { share } in (0, 1]", amount);
    }
  }
}

function isAmount(amount: Amount): boolean {
  if (typeof amount !== "object" || amount === null) return false;
  return "absolute" in amount ? isPositive(amount.absolute) : isPositive(amount.share) && amount.share <= 1;
}

function isPositive(value: number): boolean {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function fail(name: string, expected: string, received: unknown): never {
  throw new BitwrightError("invalid-option", "not a usable limit", {
    where: `limits.${name}`,
    expected,
    received: typeof received === "number" ? String(received) : JSON.stringify(received),
  });
}
