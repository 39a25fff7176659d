import { describe, expect, test } from "vitest";
import { normalStream, uniformStream } from "../../../src/sensitivity/draws.js";

const take = (count: number, stream: () => number) => Array.from({ length: count }, stream);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("draws", () => {
  test("depend on their counters alone, and on each of them", () => {
    const expected = take(5, uniformStream(3, 14));
    take(7, uniformStream(3, 15));
    expect(take(5, uniformStream(3, 14))).toEqual(expected);
    const others = [uniformStream(3, 15), uniformStream(4, 14), uniformStream(14, 3), uniformStream(3)];
    for (const other of others) expect(take(5, other)).not.toEqual(expected);
  });

  test("are independent between neighbouring counters", () => {
    const count = 4000;
    const firsts = Array.from({ length: count }, (_, i) => uniformStream(0, i)() - 0.5);
    const seconds = Array.from({ length: count }, (_, i) => uniformStream(1, i)() - 0.5);
    // 4 standard errors of a mean of products of two uniform numbers.
    const limit = (4 * (1 / 12)) / Math.sqrt(count);
    expect(Math.abs(mean(firsts))).toBeLessThan(4 * Math.sqrt(1 / 12 / count));
    expect(Math.abs(mean(firsts.slice(1).map((value, i) => value * firsts[i]!)))).toBeLessThan(limit);
    expect(Math.abs(mean(firsts.map((value, i) => value * seconds[i]!)))).toBeLessThan(limit);
  });

  test("of normal numbers have their moments", () => {
    const count = 20_000;
    const values = take(count, normalStream(5));
    expect(values.every(Number.isFinite)).toBe(true);
    expect(Math.abs(mean(values))).toBeLessThan(4 / Math.sqrt(count));
    expect(Math.abs(mean(values.map((value) => value ** 2)) - 1)).toBeLessThan(4 * Math.sqrt(2 / count));
    expect(Math.abs(mean(values.map((value) => value ** 4)) - 3)).toBeLessThan(4 * Math.sqrt(96 / count));
    // Both halves of each pair are independent.
    const products = values.slice(1).map((value, i) => value * values[i]!);
    expect(Math.abs(mean(products))).toBeLessThan(4 / Math.sqrt(count));
  });
});
