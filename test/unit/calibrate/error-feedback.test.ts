import { describe, expect, it } from "vitest";
import { ErrorFeedback } from "../../../src/calibrate/error-feedback.js";
import { randomFloats } from "../../support/tensors.js";

const width = 6;

/** A second-moment matrix of strongly correlated vectors, and many of them. */
function correlated(): { moments: Float64Array; count: number } {
  const count = 4000;
  const noise = randomFloats(count * (width + 1), 5);
  const moments = new Float64Array(width * width);
  for (let v = 0; v < count; v++) {
    const x = Array.from({ length: width }, (_, i) => noise[v * (width + 1)]! + 0.2 * noise[v * (width + 1) + 1 + i]!);
    for (let i = 0; i < width; i++) for (let j = 0; j <= i; j++) moments[i * width + j]! += (x[i]! * x[j]!) / count;
  }
  return { moments, count };
}

function form(moments: Float64Array, errors: readonly number[]): number {
  const at = (i: number, j: number) => moments[Math.max(i, j) * width + Math.min(i, j)]!;
  return errors.reduce((sum, a, i) => sum + errors.reduce((inner, b, j) => inner + a * b * at(i, j), 0), 0);
}

describe("rounding with error feedback", () => {
  const { moments, count } = correlated();
  const feedback = new ErrorFeedback(moments, width, count);
  const rows = Array.from({ length: 50 }, (_, r) => Float64Array.from(randomFloats(width, 100 + r)));
  const scale = Math.fround(1 / 7);
  const limit = 7;

  it("changes products with correlated inputs far less than rounding each element by itself", () => {
    let [fed, nearest] = [0, 0];
    for (const row of rows) {
      const { scale: own, codes } = feedback.round(row, scale, limit);
      fed += form(
        moments,
        [...row].map((w, i) => codes[i]! * own - w),
      );
      nearest += form(
        moments,
        [...row].map((w) => Math.round(w / scale) * scale - w),
      );
    }
    expect(fed).toBeLessThan(nearest / 3);
  });

  it("does so on grids that change within a row", () => {
    const scales = Float64Array.from({ length: width }, (_, i) => (i < width / 2 ? 1 / 7 : 1 / 6));
    const zeroPoints = Int32Array.from({ length: width }, (_, i) => (i < width / 2 ? 7 : 8));
    let [fed, nearest] = [0, 0];
    for (const row of rows) {
      const codes = feedback.roundOn(row, { scales, zeroPoints, qmax: 15 });
      expect(codes.every((code) => code >= 0 && code <= 15)).toBe(true);
      const values = codes.map((code, i) => code - zeroPoints[i]!);
      fed += form(
        moments,
        [...row].map((w, i) => values[i]! * scales[i]! - w),
      );
      nearest += form(
        moments,
        [...row].map((w, i) => Math.round(w / scales[i]!) * scales[i]! - w),
      );
    }
    expect(fed).toBeLessThan(nearest / 3);
  });

  it("comes close to the best codes there are", () => {
    const near = (row: Float64Array, own: number, best: number[], i: number): number => {
      if (i === width)
        return form(
          moments,
          [...row].map((w, k) => best[k]! * own - w),
        );
      const low = Math.floor(row[i]! / own);
      const each = [low - 1, low, low + 1, low + 2].filter((code) => Math.abs(code) <= limit);
      return Math.min(...each.map((code) => near(row, own, [...best, code], i + 1)));
    };
    let [found, best] = [0, 0];
    for (const row of rows.slice(0, 5)) {
      const { scale: own, codes } = feedback.round(row, scale, limit);
      found += form(
        moments,
        [...row].map((w, i) => codes[i]! * own - w),
      );
      best += near(row, own, [], 0);
    }
    expect(found).toBeLessThan(5 * best);
  });

  it("keeps codes inside the limit, and the scale one of those tried", () => {
    for (const row of rows) {
      const { scale: own, codes } = feedback.round(
        row.map((w) => 3 * w),
        scale,
        limit,
      );
      expect(Math.max(...codes.map(Math.abs))).toBeLessThanOrEqual(limit);
      expect([0.9, 1, 1.1, 1.2].map((factor) => Math.fround(factor * scale))).toContain(own);
    }
  });

  it("rounds each element by itself where inputs are not correlated", () => {
    const identity = Float64Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
    const independent = new ErrorFeedback(identity, width, count);
    for (const row of rows) {
      const { scale: own, codes } = independent.round(row, scale, limit);
      expect([...codes]).toEqual([...row].map((w) => Math.min(limit, Math.max(-limit, Math.round(w / own))) + 0));
    }
  });

  it("takes what a handful of vectors show for chance", () => {
    // Independent elements, of which three vectors say that they are correlated.
    const vectors = Array.from({ length: 3 }, (_, v) => randomFloats(width, 40 + v));
    const shown = Float64Array.from({ length: width * width }, (_, k) =>
      vectors.reduce((sum, x) => sum + (x[Math.floor(k / width)]! * x[k % width]!) / 3, 0),
    );
    const squaredErrors = (rounding: ErrorFeedback) =>
      rows
        .map((row) => ({ row, ...rounding.round(row, scale, limit) }))
        .reduce(
          (sum, { row, codes, scale: own }) => sum + row.reduce((s, w, i) => s + (codes[i]! * own - w) ** 2, 0),
          0,
        );
    const wary = squaredErrors(new ErrorFeedback(shown, width, 3));
    expect(wary).toBeLessThan(0.8 * squaredErrors(new ErrorFeedback(shown, width, 1e6)));
  });

  it("gives inputs that are always zero, and rows of zeros, a rounding too", () => {
    const nothing = new ErrorFeedback(new Float64Array(width * width), width, count);
    expect([...nothing.round(rows[0]!, scale, limit).codes]).toHaveLength(width);
    expect([...feedback.round(new Float64Array(width), 0, limit).codes]).toEqual(new Array(width).fill(0));
  });
});
