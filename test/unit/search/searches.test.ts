import { describe, expect, it } from "vitest";
import { searches } from "../../../src/search/index.js";
import { usedOf } from "../../../src/search/score.js";
import { everyAssignment, least, type Problem, randomProblem, used } from "./problems.js";

const names = Object.keys(searches) as (keyof typeof searches)[];
const informed = names.filter((name) => name !== "random" && name !== "prefix");

/** Fewest bytes of any assignment inside the band and the limits. */
async function optimum(problem: Problem): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (const { assignment, excess } of everyAssignment(problem)) {
    if (excess > 0 || (await problem.evaluate(assignment)).excess > 0) continue;
    best = Math.min(best, used(problem, "bytes", assignment));
  }
  return best;
}

describe.each(informed)("%s, led by predictions", { timeout: 60_000 }, (name) => {
  it.each([0.5, 2, 4, 6, 100])(
    "finds the optimum for one format, equal sizes and exact predictions (budget %d)",
    async (budget) => {
      const problem = randomProblem({ groups: 10, formats: ["int8"], equalSizes: true, budget });
      const { assignment, verdict } = await searches[name](problem, {});
      expect(verdict.feasible).toBe(true);
      expect(used(problem, "bytes", assignment)).toBe(await optimum(problem));
    },
  );
});

// The exact front is of sums over groups, and says so.
describe.each(names.filter((name) => name !== "pareto-front"))("%s", { timeout: 60_000 }, (name) => {
  it("meets a limit on time that single groups only move away from", async () => {
    const count = 6;
    const problem = randomProblem({ groups: count, formats: ["int8"] });
    // Codes cost half as much as floats, and each change between the two more than that; the graph begins and ends with floats.
    const ends = [0, count - 1].map((g) => ({ groups: [g], values: Float64Array.of(0, 0.6) }));
    const own = problem.groups.map((_, g) => ({ groups: [g], values: Float64Array.of(1, 0.5) }));
    const borders = own.slice(1).map((_, g) => ({ groups: [g, g + 1], values: Float64Array.of(0, 0.6, 0.6, 0) }));
    const time = { name: "latencyMs", fixed: 0, factors: [...own, ...borders, ...ends], limit: 4.8 } as const;
    const resources = [...problem.resources.filter(({ name }) => name !== "latencyMs"), time];
    const { verdict, assignment } = await searches[name]({ ...problem, resources }, {});
    expect(verdict.feasible).toBe(true);
    expect(usedOf(problem.groups, time, assignment)).toBeLessThanOrEqual(4.8);
  });
});

describe.each(names.filter((name) => name !== "pareto"))("%s", { timeout: 60_000 }, (name) => {
  it("meets a limit on size that only weights alone meet, whose files have fewer nodes", async () => {
    const formats = [
      ["float", "float", 40],
      ["int8", "int8", 16],
      ["int4", "int8", 11],
      ["int4", "float", 10],
    ] as const;
    const choices = formats.map(([weight, activation], cost) => ({ choice: { weight, activation }, cost }));
    const groups = Array.from({ length: 4 }, (_, g) => ({ id: `${g}`, layers: [`${g}`], sensitivity: 1, choices }));
    const factors = groups.map((_, g) => ({ groups: [g], values: Float64Array.from(formats, ([, , size]) => size) }));
    const bytes = { name: "bytes", fixed: 0, factors, limit: 40 } as const;
    const evaluate = async () => ({ metric: null, divergence: 0, excess: 0 });
    const problem = { groups, resources: [bytes], minimize: "bytes", band: false, seed: 1, evaluate } as const;
    const { verdict, assignment } = await searches[name](problem, {});
    expect(verdict.feasible).toBe(true);
    expect(assignment).toEqual([3, 3, 3, 3]);
  });
});

describe.each(names)("%s", { timeout: 60_000 }, (name) => {
  const search = searches[name];

  it("stays inside the band when the predictions are wrong, and keeps the smallest", async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const problem = randomProblem({ seed, groups: 12, budget: 6, noise: 0.9 });
      const { assignment, verdict, steps } = await search(problem, {});
      expect(verdict).toEqual({ ...(await problem.evaluate(assignment)), feasible: true });
      const feasible = steps.filter((step) => step.verdict.feasible).map((step) => step.bytes);
      expect(used(problem, "bytes", assignment)).toBe(Math.min(...feasible));
    }
  });

  it("tells the lowerings in an order that leads from float to its result", async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const problem = randomProblem({ seed, groups: 12, budget: 6, noise: 0.5 });
      const { assignment, lowered } = await search(problem, {});
      const replayed = problem.groups.map(() => 0);
      for (const { group, from, to } of lowered) {
        expect(replayed[group]).toBe(from);
        replayed[group] = to;
      }
      expect(replayed).toEqual(assignment);
    }
  });

  it("does the same twice", async () => {
    const make = () => randomProblem({ groups: 20, budget: 8, noise: 0.5, limits: { macs: 0.8 } });
    expect(await search(make(), {})).toEqual(await search(make(), {}));
  });

  it("evaluates nothing twice, and reports each evaluation as a step", async () => {
    const problem = randomProblem({ groups: 8, budget: 3 });
    const seen: number[] = [];
    const { steps } = await search(problem, { onProgress: ({ done }) => seen.push(done) });
    expect(seen).toEqual(Array.from({ length: steps.length + 1 }, (_, i) => i));
    expect(steps).toHaveLength(problem.evaluated.length);
    expect(new Set(problem.evaluated.map(String)).size).toBe(problem.evaluated.length);
  });

  it("ends with the best so far wherever it is aborted", async () => {
    const options = { groups: 8, budget: 4, noise: 0.3 };
    const total = (await search(randomProblem(options), {})).steps.length;
    for (let after = 1; after < total; after++) {
      const problem = randomProblem(options);
      const abort = new AbortController();
      const stopping: Problem = {
        ...problem,
        evaluate(assignment) {
          if (problem.evaluated.length === after - 1) abort.abort();
          return problem.evaluate(assignment);
        },
      };
      const { stopped, steps, assignment } = await search(stopping, { signal: abort.signal });
      expect(stopped).toBe("aborted");
      expect(steps).toHaveLength(after);
      const feasible = steps.filter((step) => step.verdict.feasible).map((step) => step.bytes);
      expect(used(problem, "bytes", assignment)).toBe(Math.min(...feasible));
    }
  });

  it("refuses a band that the float model itself does not meet", async () => {
    await expect(search(randomProblem({ groups: 3, budget: -1 }), {})).rejects.toThrow(
      expect.objectContaining({ code: "infeasible" }),
    );
  });

  it("meets limits on resources without a band, whatever they are on", async () => {
    const shares = [{ bytes: 0.5 }, { latencyMs: 0.8 }, { macs: 0.6 }, { bytes: 0.45, macs: 0.6 }];
    for (const limits of shares) {
      for (let seed = 1; seed <= 5; seed++) {
        const problem = randomProblem({ seed, groups: 7, limits });
        if (least(everyAssignment(problem), ({ excess }) => excess) > 0) continue;
        const { verdict, steps } = await search(problem, {});
        expect(verdict.feasible).toBe(true);
        expect(steps.length).toBeLessThanOrEqual(2);
      }
    }
  });

  it("meets band and limits together", async () => {
    const problem = randomProblem({ groups: 8, budget: 5, limits: { bytes: 0.75 } });
    const { assignment, verdict } = await search(problem, {});
    expect(verdict).toMatchObject({ feasible: true, excess: 0 });
    expect(used(problem, "bytes", assignment)).toBeLessThanOrEqual(problem.resources[0]!.limit!);
  });

  it("says when nothing meets the limits, and holds what comes nearest of all it tried", async () => {
    for (const budget of [undefined, 0.5]) {
      const problem = randomProblem({ groups: 6, ...(budget !== undefined && { budget }), limits: { bytes: 0.05 } });
      const { assignment, verdict, stopped } = await search(problem, {});
      expect(verdict.feasible).toBe(false);
      expect(stopped).toMatch(/^no configuration that was tried meets every limit; /);
      const limit = problem.resources[0]!.limit!;
      const excesses = await Promise.all(
        problem.evaluated.map(async (tried) => {
          const bytes = Math.max(0, used(problem, "bytes", tried) - limit) / limit;
          return bytes + (await problem.evaluate(tried)).excess;
        }),
      );
      const own = Math.max(0, used(problem, "bytes", assignment) - limit) / limit + verdict.excess;
      expect(own).toBeCloseTo(Math.min(...excesses), 12);
      if (budget === undefined)
        expect(own).toBeCloseTo(
          least(everyAssignment(problem), ({ excess }) => excess),
          12,
        );
    }
  });
});

describe("bisection", () => {
  it("needs a number of evaluations that grows with the logarithm of the groups", async () => {
    const problem = randomProblem({ groups: 200, formats: ["int8"], equalSizes: true, budget: 40 });
    const { steps } = await searches.bisection(problem, {});
    // Float, all, log2(200) halvings, a tail of four.
    expect(steps.length).toBeLessThanOrEqual(1 + 1 + 8 + 4);
  });

  it("goes on to narrower formats where wider ones all fit", async () => {
    const problem = randomProblem({ groups: 8, formats: ["int16", "int8", "int4"], budget: 1000 });
    const { assignment } = await searches.bisection(problem, {});
    expect(assignment).toEqual(problem.groups.map(() => 3));
  });

  it("sorts by what a group adds to a network in which all others have the format too", async () => {
    const problem = randomProblem({ groups: 3, formats: ["int8"], budget: 2 });
    const costs = [1, 1.1, 1.2];
    const groups = problem.groups.map((group, g) => ({
      ...group,
      choices: group.choices.map((choice, c) => ({ ...choice, cost: c * costs[g]! })),
    }));
    // The dearest of them all cancels what the other two do.
    const interactions = Array.from({ length: 6 }, () => new Float64Array(6));
    for (const other of [1, 3]) interactions[5]![other] = interactions[other]![5] = -0.5;
    const first: string[] = [];
    const evaluate = async (assignment: readonly number[]) => {
      first.push(assignment.join(""));
      return { metric: 0, divergence: 0, excess: assignment.includes(0) ? 0 : 1 };
    };
    await searches.bisection({ ...problem, groups, interactions, evaluate }, {});
    expect(first.slice(0, 3)).toEqual(["000", "111", "001"]);
  });
});
