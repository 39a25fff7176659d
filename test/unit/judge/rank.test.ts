import { describe, expect, it } from "vitest";
import { calibrate } from "../../../src/judge/calibration.js";
import { kendallTau, rankAgreement } from "../../../src/judge/rank.js";

describe("rank agreement", () => {
  it("is 1 for the same order and -1 for the reverse, whatever the figures", () => {
    expect(rankAgreement([1, 2, 30], [0.1, 0.5, 0.6])).toEqual({ spearman: 1, kendall: 1 });
    expect(rankAgreement([1, 2, 30], [3, 2, 1])).toEqual({ spearman: -1, kendall: -1 });
  });

  // Kendall, "Rank correlation methods": 10 subjects with one pair exchanged of 45 gives 43/45.
  it("counts exchanged pairs", () => {
    const order = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    expect(kendallTau(order, [2, 1, 3, 4, 5, 6, 7, 8, 9, 10])).toBeCloseTo(43 / 45, 12);
  });

  it("corrects for ties as tau-b does", () => {
    // 2 agreeing pairs of 3, one tied in a: 2 / sqrt(2 * 3).
    expect(kendallTau([1, 1, 2], [1, 2, 3])).toBeCloseTo(2 / Math.sqrt(6), 12);
    expect(kendallTau([1, 1, 1], [1, 2, 3])).toBeNaN();
  });
});

describe("calibration of predictions", () => {
  it("finds the factor and the slope of predictions that are off by both", () => {
    const measured = [1e-4, 1e-3, 1e-2, 1e-1];
    const found = calibrate(
      measured.map((value) => 3 * value ** 0.5),
      measured,
    );
    expect(found?.slope).toBeCloseTo(0.5, 10);
    expect(calibrate([2e-4, 2e-3, 2e-2], [1e-4, 1e-3, 1e-2])).toEqual({
      ratio: expect.closeTo(2, 10),
      spread: expect.closeTo(0, 10),
      slope: expect.closeTo(1, 10),
      medianError: expect.closeTo(1, 10),
      count: 3,
    });
  });

  it("says nothing where there are not two positive pairs", () => {
    expect(calibrate([0, 1], [1, 1])).toBeNull();
  });
});
