import { describe, expect, it } from "vitest";
import { binomialCdf, lowerLimit, regularizedBeta, upperLimit } from "../../../src/data/binomial.js";
import { comparePaired, mcnemar, smallestDetectableDrop } from "../../../src/data/statistics.js";

function choose(n: number, k: number): bigint {
  let result = 1n;
  for (let i = 1; i <= k; i++) result = (result * BigInt(n - k + i)) / BigInt(i);
  return result;
}

/** P(X <= k) for X ~ Binomial(n, numerator / denominator), in integers until the last division. */
function exactCdf(k: number, n: number, numerator: number, denominator: number): number {
  const [p, q] = [BigInt(numerator), BigInt(denominator - numerator)];
  let sum = 0n;
  for (let i = 0; i <= k; i++) sum += choose(n, i) * p ** BigInt(i) * q ** BigInt(n - i);
  const scale = 10n ** 40n;
  return Number((sum * scale) / BigInt(denominator) ** BigInt(n)) / 1e40;
}

function pairs(samples: number, floatCorrect: number, lost: number, gained: number) {
  const float = Uint8Array.from({ length: samples }, (_, i) => Number(i < floatCorrect));
  const quantized = float.map((right, i) =>
    right ? Number(i >= lost) : Number(i >= floatCorrect && i < floatCorrect + gained),
  );
  return comparePaired(float, quantized);
}

describe("binomial", () => {
  it.each([
    [0, 1, 1, 2],
    [3, 10, 1, 4],
    [9, 10, 99, 100],
    [40, 100, 1, 2],
    [5, 400, 1, 100],
    [180, 200, 9, 10],
    [199, 200, 1, 1000],
  ])("P(X <= %i) of %i samples agrees with integers", (k, n, numerator, denominator) => {
    expect(binomialCdf(k, n, numerator / denominator)).toBeCloseTo(exactCdf(k, n, numerator, denominator), 12);
  });

  it("keeps relative accuracy in the tail", () => {
    const exact = exactCdf(30, 200, 1, 2);
    expect(binomialCdf(30, 200, 0.5) / exact).toBeCloseTo(1, 10);
  });

  it("has the closed forms of the beta function", () => {
    for (const x of [0.001, 0.3, 0.7, 0.999]) {
      expect(regularizedBeta(x, 1, 5)).toBeCloseTo(1 - (1 - x) ** 5, 14);
      expect(regularizedBeta(x, 2.5, 1)).toBeCloseTo(x ** 2.5, 14);
      expect(regularizedBeta(x, 300, 400) + regularizedBeta(1 - x, 400, 300)).toBeCloseTo(1, 14);
    }
  });

  it("has limits that put exactly the tail outside", () => {
    for (const [k, n] of [
      [1, 10],
      [7, 10],
      [3, 600],
      [598, 600],
      [50, 100],
    ] as const) {
      const denominator = 2 ** 30;
      const [low, high] = [lowerLimit(k, n, 0.025), upperLimit(k, n, 0.025)];
      expect(1 - binomialCdf(k - 1, n, low)).toBeCloseTo(0.025, 10);
      expect(binomialCdf(k, n, high)).toBeCloseTo(0.025, 10);
      if (n <= 100) expect(exactCdf(k, n, Math.round(high * denominator), denominator)).toBeCloseTo(0.025, 6);
    }
  });

  it("has the limits that are printed in tables", () => {
    // 95 % Clopper-Pearson intervals: no and all hits in closed form, 5 of 10 as tabulated.
    expect(upperLimit(0, 20, 0.025)).toBeCloseTo(1 - 0.025 ** (1 / 20), 12);
    expect(lowerLimit(20, 20, 0.025)).toBeCloseTo(0.025 ** (1 / 20), 12);
    expect(lowerLimit(5, 10, 0.025)).toBeCloseTo(0.1871, 4);
    expect(upperLimit(5, 10, 0.025)).toBeCloseTo(0.8129, 4);
    expect([lowerLimit(0, 20, 0.025), upperLimit(20, 20, 0.025)]).toEqual([0, 1]);
  });
});

describe("McNemar's exact test", () => {
  it("is twice the smaller binomial tail", () => {
    expect(mcnemar(0, 0)).toBe(1);
    expect(mcnemar(4, 4)).toBe(1);
    expect(mcnemar(6, 0)).toBeCloseTo(2 / 64, 14);
    for (const [lost, gained] of [
      [10, 3],
      [3, 10],
      [25, 12],
      [100, 60],
    ] as const) {
      const tail = exactCdf(Math.min(lost, gained), lost + gained, 1, 2);
      expect(mcnemar(lost, gained)).toBeCloseTo(2 * tail, 12);
    }
  });

  it("tells the smallest drop that a sample can show", () => {
    expect(smallestDetectableDrop(0, 600, 0.05)).toBeCloseTo(6 / 600, 14);
    expect(smallestDetectableDrop(0, 5, 0.05)).toBeUndefined();
    const gained = 8;
    const drop = smallestDetectableDrop(gained, 600, 0.05)! * 600;
    expect(mcnemar(gained + drop, gained)).toBeLessThanOrEqual(0.05);
    expect(mcnemar(gained + drop - 1, gained)).toBeGreaterThan(0.05);
  });
});

describe("paired comparison", () => {
  it("counts flips both ways", () => {
    expect(comparePaired([1, 1, 1, 0, 0, 1], [1, 0, 0, 1, 0, 1])).toMatchObject({
      samples: 6,
      floatCorrect: 4,
      quantizedCorrect: 3,
      lost: 2,
      gained: 1,
      difference: { value: -1 / 6 },
      keepRatio: { value: 3 / 4 },
    });
  });

  it("does not claim certainty when nothing flips", () => {
    const { difference, keepRatio, pValue } = pairs(600, 520, 0, 0);
    expect(pValue).toBe(1);
    expect(difference.low).toBeCloseTo(-(1 - 0.025 ** (1 / 600)), 12);
    expect(difference.high).toBeCloseTo(1 - 0.025 ** (1 / 600), 12);
    expect(keepRatio.low).toBeCloseTo(0.05 ** (1 / 520), 12);
  });

  it("is defined when the float model is right on everything, or on nothing", () => {
    expect(pairs(50, 50, 2, 0).keepRatio.low).toBeCloseTo(1 - upperLimit(2, 50, 0.05), 12);
    expect(pairs(50, 0, 0, 0).keepRatio).toEqual({ value: 1, low: 0 });
  });

  it("refuses different numbers of samples", () => {
    expect(() => comparePaired([1, 0], [1])).toThrow(/only on the same samples/);
  });

  // Every outcome of 40 samples, weighted by its trinomial probability.
  it.each([
    [0.01, 0.01],
    [0.05, 0.02],
    [0.1, 0.1],
    [0.2, 0.05],
  ])("covers the true difference 95 times in 100 when %d are lost and %d gained", (lossRate, gainRate) => {
    const n = 40;
    let covered = 0;
    for (let lost = 0; lost <= n; lost++) {
      for (let gained = 0; lost + gained <= n; gained++) {
        const ways = Number(choose(n, lost) * choose(n - lost, gained));
        const chance = ways * lossRate ** lost * gainRate ** gained * (1 - lossRate - gainRate) ** (n - lost - gained);
        if (chance < 1e-9) continue;
        const { low, high } = pairs(n, n - gained, lost, gained).difference;
        if (low <= gainRate - lossRate && gainRate - lossRate <= high) covered += chance;
      }
    }
    expect(covered).toBeGreaterThan(0.95);
  });

  it.each([
    [0.01, 0.05],
    [0.03, 0.1],
    [0.1, 0.3],
  ])("has a keep bound below the truth 95 times in 100 when %d are lost and %d gained", (lossRate, gainRate) => {
    const [correct, others] = [60, 20];
    const truth = 1 - lossRate + (gainRate * others) / correct;
    let covered = 0;
    for (let lost = 0; lost <= correct; lost++) {
      for (let gained = 0; gained <= others; gained++) {
        const chance =
          Number(choose(correct, lost)) *
          lossRate ** lost *
          (1 - lossRate) ** (correct - lost) *
          Number(choose(others, gained)) *
          gainRate ** gained *
          (1 - gainRate) ** (others - gained);
        if (chance > 1e-9 && pairs(80, correct, lost, gained).keepRatio.low <= truth) covered += chance;
      }
    }
    expect(covered).toBeGreaterThan(0.95);
  });
});
