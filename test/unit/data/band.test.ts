import { describe, expect, it } from "vitest";
import { parseKeep, parseMaxDrop, parseMaxKl, parseReach, withinBand } from "../../../src/data/band.js";

describe("band", () => {
  it("parses percentages to the nearest double, and shares", () => {
    expect([parseKeep("99%"), parseKeep("99.9%"), parseKeep(" 100 % "), parseKeep("0.95"), parseKeep(0.5)]).toEqual([
      0.99, 0.999, 1, 0.95, 0.5,
    ]);
    expect([parseMaxKl("0.01"), parseMaxKl(2)]).toEqual([0.01, 2]);
  });

  it.each([["99"], ["101%"], ["0%"], [""], ["-5%"], ["abc"], [0], [Number.NaN]])("refuses to keep %s", (text) => {
    expect(() => parseKeep(text)).toThrow(/keep: .*"99\.9%"/);
  });

  it.each([["0"], ["-1"], ["x"], [""], [Number.POSITIVE_INFINITY]])("refuses a KL limit of %s", (text) => {
    expect(() => parseMaxKl(text)).toThrow(/max-kl: .*positive number/);
  });

  it("counts exactly at its edge", () => {
    // 594 of 600 is exactly 99 %, whatever the quotients round to.
    for (let n = 100; n <= 3000; n += 100) {
      const figures = { float: n / 7919, higherIsBetter: true };
      expect(withinBand({ ...figures, quantized: (0.99 * n) / 7919 }, { keep: 0.99 })).toBe(true);
      expect(withinBand({ ...figures, quantized: (Math.round(0.99 * n) - 1) / 7919 }, { keep: 0.99 })).toBe(false);
    }
  });

  it("turns the ratio round for figures that should be low", () => {
    const figures = { float: 10, higherIsBetter: false };
    expect(withinBand({ ...figures, quantized: 10.1 }, { keep: 0.99 })).toBe(true);
    expect(withinBand({ ...figures, quantized: 10.2 }, { keep: 0.99 })).toBe(false);
  });

  it("limits the change of a figure in its own unit, and the figure itself", () => {
    const decibels = { float: 32.2, higherIsBetter: true };
    expect(withinBand({ ...decibels, quantized: 32.2 - 0.1 }, { maxDrop: 0.1 })).toBe(true);
    expect(withinBand({ ...decibels, quantized: 32.09 }, { maxDrop: 0.1 })).toBe(false);
    expect(withinBand({ ...decibels, quantized: 30 }, { reach: 30 })).toBe(true);
    expect(withinBand({ ...decibels, quantized: 29.99 }, { reach: 30 })).toBe(false);
    expect(withinBand({ ...decibels, quantized: 31 }, { reach: 30, maxDrop: 1 })).toBe(false);
    const perplexity = { float: 10.6, higherIsBetter: false };
    expect(withinBand({ ...perplexity, quantized: 10.8 }, { maxDrop: 0.2 })).toBe(true);
    expect(withinBand({ ...perplexity, quantized: 10.81 }, { maxDrop: 0.2 })).toBe(false);
    expect(withinBand({ ...perplexity, quantized: 11 }, { reach: 11 })).toBe(true);
    expect(withinBand({ ...perplexity, quantized: 11.1 }, { reach: 11 })).toBe(false);
  });

  it("knows a figure to reach where the float model's is infinite, but no drop from it", () => {
    const ratio = { float: Number.POSITIVE_INFINITY, quantized: 35, higherIsBetter: true };
    expect(withinBand(ratio, { reach: 30 })).toBe(true);
    expect(withinBand(ratio, { reach: 40 })).toBe(false);
    expect(() => withinBand(ratio, { maxDrop: 1 })).toThrow(/max-drop: .*reach/);
  });

  it("parses limits in the metric's unit, and shares", () => {
    expect([parseMaxDrop("0.1"), parseMaxDrop("0.5%"), parseMaxDrop(2)]).toEqual([0.1, 0.005, 2]);
    expect([parseReach("30"), parseReach("75%"), parseReach("-3"), parseReach(1)]).toEqual([30, 0.75, -3, 1]);
    for (const text of ["0", "-1", "", "x", "5 dB"]) expect(() => parseMaxDrop(text)).toThrow(/max-drop: .*"0\.5%"/);
    for (const text of ["", "x", Number.NaN]) expect(() => parseReach(text)).toThrow(/reach: .*"75%"/);
  });

  it("needs every limit to hold", () => {
    const result = { float: 0.8, quantized: 0.8, higherIsBetter: true, kl: 0.02 };
    expect(withinBand(result, { keep: 0.99, maxKl: 0.03 })).toBe(true);
    expect(withinBand(result, { keep: 0.99, maxKl: 0.01 })).toBe(false);
    expect(withinBand(result, {})).toBe(true);
  });

  it("is never met by what is not a number", () => {
    const broken = { float: 0.8, quantized: Number.NaN, higherIsBetter: true, kl: Number.NaN };
    expect(withinBand(broken, { keep: 0.5 })).toBe(false);
    expect(withinBand(broken, { maxKl: 1 })).toBe(false);
    expect(withinBand(broken, { maxDrop: 1 })).toBe(false);
    expect(withinBand(broken, { reach: 0 })).toBe(false);
  });

  it("refuses a ratio that means nothing, and a divergence that was not measured", () => {
    for (const float of [-0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => withinBand({ float, quantized: 1, higherIsBetter: true }, { keep: 0.9 })).toThrow(
        /no share can be kept/,
      );
    }
    expect(() => withinBand({ float: 0, quantized: 1, higherIsBetter: false }, { keep: 0.9 })).toThrow(/no share/);
    expect(() => withinBand({ float: 1, quantized: 1, higherIsBetter: true }, { maxKl: 1 })).toThrow(/not measured/);
  });
});
