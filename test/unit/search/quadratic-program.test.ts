import { describe, expect, it } from "vitest";
import { ConvexLoss } from "../../../src/search/convex-loss.js";
import { searches } from "../../../src/search/index.js";
import type { SearchProblem } from "../../../src/search/problem.js";
import { predictedLoss, Score, usedOf } from "../../../src/search/score.js";
import { everyAssignment, least, type Options, randomProblem, used } from "./problems.js";

const search = searches["quadratic-program"];

/** Terms that come from no form: their matrix has negative eigenvalues, and some predicted losses are negative. */
function indefinite(options: Options): SearchProblem {
  const problem = randomProblem({ correlation: 0.9, ...options });
  const interactions = problem.interactions!.map((row, i) =>
    row.map((value, j) => 2.5 * value * ((i + j) % 3 ? 1 : -1)),
  );
  return { ...problem, interactions };
}

describe("Score", () => {
  it("keeps loss and use up to date, whatever the order of changes", () => {
    const problem = randomProblem({ groups: 5, correlation: 0.8, borders: true });
    const score = new Score(problem, [0, 1, 2, 0, 1]);
    for (const [group, to] of [
      [2, 0],
      [0, 2],
      [4, 2],
      [2, 1],
      [0, 1],
      [3, 2],
    ] as const) {
      const after = score.assignment.with(group, to);
      const loss = score.loss + score.lossChange(group, to);
      score.move(group, to);
      expect(score.assignment).toEqual(after);
      expect(score.loss).toBeCloseTo(predictedLoss(problem, after), 12);
      expect(loss).toBeCloseTo(score.loss, 12);
      for (const [r, resource] of problem.resources.entries()) {
        expect(score.used[r]).toBeCloseTo(usedOf(problem.groups, resource, after), 9);
      }
    }
  });

  it("takes 1/2 x^T G x, and nothing from terms within a group", () => {
    const problem = randomProblem({ groups: 3, formats: ["int8"], correlation: 0.8 });
    const within = problem.interactions!.map((row, i) =>
      row.map((value, j) => (i !== j && i >> 1 === j >> 1 ? 100 : value)),
    );
    for (const { assignment } of everyAssignment(problem)) {
      const chosen = assignment.map((c, g) => 2 * g + c);
      const costs = assignment.reduce((sum, c, g) => sum + problem.groups[g]!.choices[c]!.cost, 0);
      const pairs = chosen.flatMap((i) => chosen.map((j) => (i === j ? 0 : problem.interactions![i]![j]!)));
      const expected = costs + pairs.reduce((sum, term) => sum + term, 0) / 2;
      expect(predictedLoss({ ...problem, interactions: within }, assignment)).toBeCloseTo(expected, 12);
    }
  });
});

describe("ConvexLoss", () => {
  it.each([
    ["semi-definite", randomProblem({ groups: 5, correlation: 0.9 })],
    ["indefinite", indefinite({ groups: 5 })],
  ])("has tangents that lie below the loss and touch it where they are made (%s)", (_, problem) => {
    const convex = new ConvexLoss(problem.groups, problem.interactions!);
    const all = everyAssignment(problem);
    const third = new Float64Array(problem.interactions!.length).fill(1 / 3);
    for (const { assignment, loss } of all) {
      expect(usedOf(problem.groups, convex.tangent(third), assignment)).toBeLessThanOrEqual(loss + 1e-9);
      expect(usedOf(problem.groups, convex.tangentAt(assignment), assignment)).toBeCloseTo(loss, 9);
    }
    for (const { assignment } of all.filter((_, i) => i % 17 === 0)) {
      const tangent = convex.tangentAt(assignment);
      for (const other of all) {
        expect(usedOf(problem.groups, tangent, other.assignment)).toBeLessThanOrEqual(other.loss + 1e-9);
      }
    }
  });
});

describe("quadratic-program", { timeout: 120_000 }, () => {
  const limits: readonly NonNullable<Options["limits"]>[] = [
    { bytes: 0.6 },
    { latencyMs: 0.75 },
    { bytes: 0.55, macs: 0.6 },
  ];

  describe.each([
    ["semi-definite", randomProblem],
    ["indefinite", indefinite],
  ])("%s", (_, make: (options: Options) => SearchProblem) => {
    it.each(limits)("has the least predicted loss of small problems, and proves it (%o)", async (limits) => {
      for (let seed = 1; seed <= 3; seed++) {
        const problem = make({ seed, groups: 6, limits, correlation: 0.8, borders: seed === 3 });
        const inside = everyAssignment(problem).filter(({ excess }) => excess === 0);
        const { assignment, verdict, proof } = await search(problem, {});
        expect(verdict.feasible).toBe(inside.length > 0);
        if (inside.length === 0) continue;
        const optimum = least(inside, ({ loss }) => loss);
        expect(predictedLoss(problem, assignment)).toBeCloseTo(optimum, 9);
        expect(proof).toMatchObject({ minimized: "loss", gap: 0 });
      }
    });
  });

  it("stays above its bound where it proves nothing better", async () => {
    // Too many pairs for the exact program; brute force still is possible.
    const formats = ["fp16", "bf16", "int16", "fp8e4m3", "fp8e5m2", "int8", "int4"] as const;
    const problem = randomProblem({ groups: 6, formats, limits: { bytes: 0.1 }, correlation: 0.9 });
    const inside = everyAssignment(problem).filter(({ excess }) => excess === 0);
    const { assignment, proof } = await search(problem, {});
    const optimum = least(inside, ({ loss }) => loss);
    const loss = predictedLoss(problem, assignment);
    expect(proof!.value).toBe(loss);
    expect(proof!.bound).toBeLessThanOrEqual(optimum * (1 + 1e-9));
    expect(proof!.gap).toBeCloseTo((loss - proof!.bound) / loss, 12);
    expect(loss).toBeLessThanOrEqual(1.05 * optimum);
  });

  it("has the least bytes inside band and limits when predictions are exact", async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const problem = randomProblem({ seed, groups: 6, budget: 2.5, limits: { macs: 0.9 }, correlation: 0.8 });
      const inside = everyAssignment(problem).filter(({ excess, loss }) => excess === 0 && loss <= 2.5);
      const { assignment, verdict, proof } = await search(problem, {});
      expect(verdict.feasible).toBe(inside.length > 0);
      if (inside.length === 0) continue;
      const optimum = least(inside, ({ used }) => used[0]!);
      const bytes = used(problem, "bytes", assignment);
      if (proof?.gap === 0) expect(bytes).toBe(optimum);
      expect(bytes).toBeLessThanOrEqual(1.03 * optimum);
    }
  });

  it("beats the integer program where errors cancel", async () => {
    const options = { groups: 6, formats: ["int8"] as const, limits: { bytes: 0.7 }, correlation: 1 };
    const wins = await Promise.all(
      [1, 2, 3, 4, 5].map(async (seed) => {
        const results = [search, searches["integer-program"]].map((each) =>
          each(randomProblem({ seed, ...options }), {}),
        );
        const [quadratic, linear] = await Promise.all(results);
        return linear!.verdict.divergence - quadratic!.verdict.divergence;
      }),
    );
    expect(Math.min(...wins)).toBeGreaterThanOrEqual(-1e-12);
    expect(Math.max(...wins)).toBeGreaterThan(0);
  });
});
