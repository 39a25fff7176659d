import { describe, expect, test } from "vitest";
import { checkLimits } from "../../src/limits.js";
import type { Limits } from "../../src/options.js";

describe("limits", () => {
  test.each<Limits>([
    { keep: 1 },
    { maxKl: 1e-300 },
    { maxDrop: 0.1 },
    { reach: -30 },
    { maxSize: { share: 0.3 }, maxLatency: { absolute: 2 } },
    { maxMacs: { absolute: 1e12 } },
    { maxLossError: 0.02 },
  ])("%j are taken", (limits) => {
    expect(() => checkLimits(limits)).not.toThrow();
  });

  test.each<[unknown, RegExp]>([
    [{}, /^limits: a limit is missing/],
    [{ keep: undefined }, /^limits: a limit is missing/],
    [{ keep: Number.NaN }, /^limits\.keep: .*share in \(0, 1\]; received NaN/],
    [{ keep: 99 }, /received 99/],
    [{ maxDrop: 0 }, /^limits\.maxDrop: .*received 0/],
    [{ reach: Number.POSITIVE_INFINITY }, /^limits\.reach: .*received Infinity/],
    [{ maxKl: "0.1" }, /^limits\.maxKl: .*received "0\.1"/],
    [{ keep: 0.9, maxSize: "4MB" }, /^limits\.maxSize: .*received "4MB"/],
    [{ maxLatency: { share: -0.25 } }, /^limits\.maxLatency: /],
    [{ maxLossError: 0 }, /^limits\.maxLossError: .*received 0/],
    [{ maxMacs: {} }, /^limits\.maxMacs: /],
  ])("%j are refused", (limits, message) => {
    expect(() => checkLimits(limits as Limits)).toThrow(expect.objectContaining({ code: "invalid-option" }));
    expect(() => checkLimits(limits as Limits)).toThrow(message);
  });
});
