import { describe, expect, it } from "vitest";
import { searches } from "../../../src/search/index.js";
import { candidateCount } from "../../../src/search/pareto.js";
import type { Assignment, SearchProblem } from "../../../src/search/problem.js";
import { predictedLoss } from "../../../src/search/score.js";
import { everyAssignment, least, type Options, randomProblem, used } from "./problems.js";

const limits: readonly NonNullable<Options["limits"]>[] = [
  { bytes: 0.6 },
  { macs: 0.6 },
  { latencyMs: 0.8 },
  { bytes: 0.55, macs: 0.7 },
];

/** Whether no group is narrower than a less sensitive one. Of equally sensitive ones any order will do. */
function isMonotone({ groups }: SearchProblem, assignment: Assignment): boolean {
  return assignment.every((a, g) =>
    assignment.every((b, h) => groups[g]!.sensitivity <= groups[h]!.sensitivity || a <= b),
  );
}

describe("pareto", () => {
  it("has as many candidates as HAWQ-V2 says", () => {
    expect(candidateCount(50, 4)).toBe(23_426);
    for (const [groups, formats] of [
      [5, ["int8"]],
      [6, ["int8", "int4"]],
      [4, ["int16", "int8", "int4"]],
    ] as const) {
      const problem = randomProblem({ groups, formats });
      const monotone = everyAssignment(problem).filter(({ assignment }) => isMonotone(problem, assignment));
      expect(monotone).toHaveLength(candidateCount(groups, formats.length + 1));
    }
  });

  it.each(limits)("takes the least loss of the monotone assignments inside the limits (%o)", async (limits) => {
    for (let seed = 1; seed <= 5; seed++) {
      const problem = randomProblem({ seed, groups: 6, limits, borders: true, ...(seed > 2 && { correlation: 0.5 }) });
      const monotone = everyAssignment(problem).filter(({ assignment }) => isMonotone(problem, assignment));
      const inside = monotone.filter(({ excess }) => excess === 0);
      const { assignment, verdict } = await searches.pareto(problem, {});
      expect(isMonotone(problem, assignment)).toBe(true);
      expect(verdict.feasible).toBe(inside.length > 0);
      const loss = least(inside, (candidate) => candidate.loss);
      if (inside.length > 0) expect(predictedLoss(problem, assignment)).toBeCloseTo(loss, 12);
    }
  });

  it.each(["bytes", "latencyMs"] as const)("takes the least %s of them inside a band", async (minimize) => {
    for (let seed = 1; seed <= 5; seed++) {
      const problem = randomProblem({ seed, groups: 6, budget: 2.5, limits: { macs: 0.9 }, minimize });
      const inside = everyAssignment(problem).filter(
        ({ assignment, excess, loss }) => excess === 0 && loss <= 2.5 && isMonotone(problem, assignment),
      );
      const { assignment, verdict } = await searches.pareto(problem, {});
      if (inside.length === 0) continue;
      expect(verdict.feasible).toBe(true);
      const objective = minimize === "bytes" ? 0 : 1;
      // Lowerings tried behind the front may find more.
      const best = least(inside, (candidate) => candidate.used[objective]!);
      expect(used(problem, minimize, assignment)).toBeLessThanOrEqual(best * (1 + 1e-12));
    }
  });

  it("copes with more candidates than it can look at", async () => {
    const formats = ["fp16", "bf16", "int16", "fp8e4m3", "fp8e5m2", "int8", "int4"] as const;
    const problem = randomProblem({ groups: 120, formats, limits: { bytes: 0.2 } });
    const { verdict } = await searches.pareto(problem, {});
    expect(candidateCount(120, 8)).toBeGreaterThan(1e9);
    expect(verdict.feasible).toBe(true);
  });
});

describe("pareto-front", () => {
  it.each(limits)("has the least loss inside the limits but for what a bucket holds (%o)", async (limits) => {
    for (let seed = 1; seed <= 5; seed++) {
      const problem = randomProblem({ seed, groups: 6, limits });
      const all = everyAssignment(problem);
      const inside = all.filter(({ excess }) => excess === 0);
      const { assignment, verdict } = await searches["pareto-front"](problem, {});
      const tracked = problem.resources.flatMap(({ limit }, r) => (limit === undefined ? [] : [{ r, limit }]));
      const buckets = Math.floor(10_000 ** (1 / tracked.length));
      const certain = inside.filter((candidate) =>
        tracked.every(({ r, limit }) => {
          const width = (limit - least(all, ({ used }) => used[r]!)) / (buckets - 1);
          return candidate.used[r]! <= limit - problem.groups.length * width;
        }),
      );
      if (certain.length === 0) continue;
      expect(verdict.feasible).toBe(true);
      const loss = predictedLoss(problem, assignment);
      expect(loss).toBeGreaterThanOrEqual(least(inside, (candidate) => candidate.loss) - 1e-12);
      expect(loss).toBeLessThanOrEqual(least(certain, (candidate) => candidate.loss) + 1e-12);
    }
  });

  it("refuses resources that are no sum over groups", async () => {
    const problem = randomProblem({ groups: 5, limits: { latencyMs: 0.7 }, borders: true });
    await expect(searches["pareto-front"](problem, {})).rejects.toThrow(
      expect.objectContaining({ code: "invalid-option" }),
    );
  });
});
