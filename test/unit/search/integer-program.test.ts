import { describe, expect, it } from "vitest";
import { searches } from "../../../src/search/index.js";
import { limitsOf } from "../../../src/search/integer-program.js";
import type { Assignment, Factor, Resource } from "../../../src/search/problem.js";
import { solveProgram, solveRelaxation } from "../../../src/search/program.js";
import { nearRelaxed } from "../../../src/search/round-shares.js";
import { choiceOffsets, excessOf, predictedLoss, usedOf } from "../../../src/search/score.js";
import { everyAssignment, least, type Options, randomProblem, used } from "./problems.js";

const search = searches["integer-program"];

const limits: readonly NonNullable<Options["limits"]>[] = [
  { bytes: 0.6 },
  { macs: 0.5 },
  { latencyMs: 0.75 },
  { bytes: 0.55, macs: 0.6 },
  { bytes: 0.55, latencyMs: 0.8, macs: 0.6 },
];

describe.each([false, true])("integer-program, borders: %s", { timeout: 60_000 }, (borders) => {
  it.each(limits)("has the least predicted loss inside the limits (%o)", async (limits) => {
    for (let seed = 1; seed <= 4; seed++) {
      const problem = randomProblem({ seed, groups: 6, limits, borders });
      const inside = everyAssignment(problem).filter(({ excess }) => excess === 0);
      const { assignment, verdict, proof } = await search(problem, {});
      expect(verdict.feasible).toBe(inside.length > 0);
      if (inside.length === 0) continue;
      expect(predictedLoss(problem, assignment)).toBeCloseTo(
        least(inside, ({ loss }) => loss),
        12,
      );
      expect(proof).toMatchObject({ minimized: "loss", gap: 0 });
    }
  });

  it.each(["bytes", "latencyMs"] as const)("has the least %s inside band and limits", async (minimize) => {
    for (let seed = 1; seed <= 3; seed++) {
      const problem = randomProblem({ seed, groups: 5, budget: 2, limits: { macs: 0.9 }, minimize, borders });
      const inside = everyAssignment(problem).filter(({ excess, loss }) => excess === 0 && loss <= 2);
      const { assignment, verdict } = await search(problem, {});
      expect(verdict.feasible).toBe(inside.length > 0);
      if (inside.length === 0) continue;
      const objective = minimize === "bytes" ? 0 : 1;
      expect(used(problem, minimize, assignment)).toBeCloseTo(
        least(inside, (candidate) => candidate.used[objective]!),
        12,
      );
    }
  });

  it("comes as near as possible to limits that cannot be met together", async () => {
    const problem = randomProblem({ groups: 5, limits: { bytes: 0.2, macs: 0.1, latencyMs: 0.2 }, borders });
    const { assignment, verdict, stopped } = await search(problem, {});
    expect(verdict.feasible).toBe(false);
    expect(stopped).toContain("the limits on resources cannot all be met");
    const excess = excessOf(
      problem.resources,
      problem.resources.map((resource) => usedOf(problem.groups, resource, assignment)),
    );
    expect(excess).toBeCloseTo(
      least(everyAssignment(problem), (candidate) => candidate.excess),
      9,
    );
  });
});

it("tries a few more lowerings behind the budget, as predictions err", async () => {
  // The second resource makes the objective a sum of several factors for each group.
  const problem = randomProblem({ groups: 8, budget: 2, noise: 0.8, seed: 3, borders: true, minimize: "latencyMs" });
  const { steps, assignment, verdict } = await search(problem, {});
  const tail = steps.filter(({ tried }) => tried.startsWith("one more lowering, "));
  expect(tail.length).toBeGreaterThan(0);
  expect(verdict).toMatchObject(await problem.evaluate(assignment));
});

describe.each([false, true])("the continuous relaxation, borders: %s", (borders) => {
  it("bounds what is possible with each choice, and leads near the best", async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const problem = randomProblem({ seed, groups: 6, limits: { bytes: 0.6, macs: 0.7 }, borders });
      const { groups, resources } = problem;
      const time = resources.find(({ name }) => name === "latencyMs")!;
      const limits = limitsOf(problem);
      const relaxed = (await solveRelaxation(groups, { minimize: [time], limits }))!;
      const inside = everyAssignment(problem).filter(({ excess }) => excess === 0);
      const value = (assignment: Assignment) => usedOf(groups, time, assignment);
      const offsets = choiceOffsets(groups);
      for (const { assignment } of inside) {
        for (const [g, c] of assignment.entries()) {
          const bound = relaxed.bound + relaxed.reducedCosts[offsets[g]! + c]!;
          expect(value(assignment)).toBeGreaterThanOrEqual(bound - 1e-9);
        }
      }
      const near = nearRelaxed(groups, relaxed, time, limits)!;
      expect(inside.map(({ assignment }) => assignment)).toContainEqual(near);
      expect(value(near)).toBeCloseTo(
        least(inside, ({ assignment }) => value(assignment)),
        9,
      );
    }
  });
});

describe("solveProgram", () => {
  const unary = (...tables: number[][]): Factor[] =>
    tables.map((values, g) => ({ groups: [g], values: Float64Array.from(values) }));
  const { groups } = randomProblem({ groups: 3 });
  const loss = { fixed: 0, factors: unary([0, 1, 5], [0, 2, 3], [0, 0.5, 9]) };
  const bytes = { fixed: 0, factors: unary([8, 4, 2], [8, 4, 2], [8, 4, 2]) };

  it("never exceeds a limit by the solver's tolerance", async () => {
    // Three medium choices use 12 and a trifle.
    const trifle = { fixed: 12e-10, factors: bytes.factors };
    const { assignment } = (await solveProgram(groups, {
      minimize: [loss],
      limits: [{ quantity: trifle, limit: 12 }],
    }))!;
    expect(usedOf(groups, trifle, assignment)).toBeLessThanOrEqual(12);
    expect(assignment).toEqual([1, 2, 1]);
  });

  it("tells apart costs that are tiny beside those of choices it cannot take", async () => {
    const wide = { fixed: 0, factors: unary([0, 1e-9, 1e6], [0, 2e-9, 1e6], [0, 1.5e-9, 1e6]) };
    const query = { minimize: [wide], limits: [{ quantity: bytes, limit: 20 }] };
    expect(await solveProgram(groups, query)).toMatchObject({ assignment: [1, 0, 0] });
  });

  it("minimizes the largest of several quantities", async () => {
    const query = { minimize: [loss, bytes], limits: [] };
    const { assignment, bound } = (await solveProgram(groups, query))!;
    const value = Math.max(usedOf(groups, loss, assignment), usedOf(groups, bytes, assignment));
    const best = least(everyAssignment(randomProblem({ groups: 3 })), (candidate) =>
      Math.max(usedOf(groups, loss, candidate.assignment), usedOf(groups, bytes, candidate.assignment)),
    );
    expect(value).toBeCloseTo(best, 12);
    expect(bound).toBeCloseTo(best, 9);
  });

  it("merges choices that make no difference to a factor over many groups", async () => {
    // Only whether all six are narrow counts; a share for each of 3^6 combinations would be 729.
    const { groups } = randomProblem({ groups: 6 });
    const values = Float64Array.from({ length: 3 ** 6 }, (_, at) => {
      const digits = Array.from({ length: 6 }, (_, i) => Math.floor(at / 3 ** i) % 3);
      return digits.every((digit) => digit > 0) ? 0 : 10;
    });
    const all: Resource = { name: "latencyMs", fixed: 0, factors: [{ groups: [0, 1, 2, 3, 4, 5], values }] };
    const loss = { fixed: 0, factors: unary(...groups.map(() => [0, 1, 2])) };
    const query = { minimize: [loss], limits: [{ quantity: all, limit: 5 }] };
    expect(await solveProgram(groups, query)).toMatchObject({ assignment: [1, 1, 1, 1, 1, 1] });
  });

  it("has a relaxation that is a bound", async () => {
    const query = { minimize: [loss], limits: [{ quantity: bytes, limit: 11 }] };
    const { bound, shares } = (await solveRelaxation(groups, query))!;
    // The second group is narrowed by half: 3 + 0.5 / 2 + ... of the choices (4, 4, 3).
    expect(bound).toBeCloseTo(1 + 2.5 + 0.5, 9);
    expect([...shares.slice(3, 6)]).toEqual([expect.closeTo(0), expect.closeTo(0.5), expect.closeTo(0.5)]);
  });
});

it("solves 500 groups of 4 formats under two limits to proven optimality", { timeout: 60_000 }, async () => {
  const problem = randomProblem({
    groups: 500,
    formats: ["int16", "int8", "int4"],
    limits: { bytes: 0.5, macs: 0.6 },
  });
  const { verdict, proof } = await search(problem, {});
  expect(verdict.feasible).toBe(true);
  expect(proof).toMatchObject({ minimized: "loss", gap: 0 });
});
