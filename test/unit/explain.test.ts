import { describe, expect, it } from "vitest";
import { explainChoices } from "../../src/explain.js";
import { type SearchName, searches } from "../../src/search/index.js";
import type { Resource, SearchProblem, SearchResult } from "../../src/search/problem.js";
import { excessOf, predictedLoss, usedOf } from "../../src/search/score.js";
import { randomProblem } from "./search/problems.js";

const float = { weight: "float", activation: "float" } as const;
const int8 = { weight: "int8", activation: "int8" } as const;
const int4 = { weight: "int4", activation: "float" } as const;

/** One group with three choices, and what they use: bytes, and time in which narrow weights alone save nothing. */
function problemOf(changes: Partial<SearchProblem> & { readonly limits?: Partial<Record<Resource["name"], number>> }) {
  const { limits = {}, ...others } = changes;
  const resource = (name: "bytes" | "latencyMs", values: readonly number[]): Resource => ({
    name,
    fixed: 0,
    factors: [{ groups: [0], values: Float64Array.from(values) }],
    ...(limits[name] !== undefined && { limit: limits[name] }),
  });
  const costs = [0, 0.002, 0.1];
  return {
    groups: [
      {
        id: "a",
        layers: ["a"],
        sensitivity: 1,
        choices: [float, int8, int4].map((choice, c) => ({ choice, cost: costs[c]! })),
      },
    ],
    resources: [resource("bytes", [32, 8, 4]), resource("latencyMs", [10, 5, 10])],
    minimize: "bytes",
    band: true,
    seed: 0,
    evaluate: async () => ({ metric: null, divergence: 0, excess: 0 }),
    ...others,
  } satisfies SearchProblem;
}

function found(assignment: readonly number[], outside: SearchResult["outside"] = []): SearchResult {
  const verdict = { feasible: true, metric: null, divergence: 0, excess: 0 };
  return { assignment, verdict, steps: [], lowered: [], outside, stopped: "" };
}

const why = (problem: SearchProblem, result: SearchResult, assignment = result.assignment) =>
  explainChoices({ problem, result }, assignment)[0];

describe("why a group has its choice:", () => {
  it("nothing narrower is offered", () => {
    const { groups, ...others } = problemOf({});
    const short = { ...others, groups: [{ ...groups[0]!, choices: groups[0]!.choices.slice(0, 2) }] };
    expect(why(short, found([1]))).toBe("costs 2.0e-3; the narrowest offered");
    // Narrower in one of two tensors is narrower.
    expect(why(problemOf({}), found([2]))).toMatch(/; int8 weights and int8 activations would cost/);
  });

  it("the band, as measured or as what is predicted to harm less was", () => {
    expect(why(problemOf({}), found([0], [[1]]))).toBe(
      "kept float; int8 weights and int8 activations would cost 2.0e-3, more than the limits leave",
    );
    expect(why(problemOf({}), found([1], [[2]]))).toMatch(
      /int4 weights and float activations.*more than the limits leave$/,
    );
    expect(why(problemOf({}), found([0], [[2]]))).toMatch(/; the search did not try it here$/);
  });

  it("what is minimized", () => {
    expect(why(problemOf({ minimize: "latencyMs" }), found([1]))).toMatch(/, and would not make the model faster$/);
    const { resources, ...both } = problemOf({ minimize: "footprint" });
    const sum = {
      ...resources[0]!,
      name: "footprint" as const,
      factors: [{ groups: [0], values: Float64Array.of(2, 0.7, 1.1) }],
    };
    const footprint = { ...both, resources: [...resources, sum] };
    expect(why(footprint, found([1]))).toMatch(/, and would not lessen size and time taken together$/);
    const loss = problemOf({ band: false, limits: { bytes: 16 } });
    expect(why(loss, found([1]))).toMatch(/would cost 1.0e-1, and the limits are met without it$/);
  });

  it("a limit on a resource", () => {
    expect(why(problemOf({ limits: { latencyMs: 6 } }), found([1]))).toMatch(
      /, and the limit on latency does not leave it$/,
    );
    const size = problemOf({ band: false, limits: { latencyMs: 9, bytes: 2 } });
    expect(why(size, found([1]))).toMatch(/, and the limit on latency does not leave it$/);
  });

  it("verification", () => {
    expect(why(problemOf({}), found([2]), [1])).toBe(
      "costs 2.0e-3; int4 weights and float activations, which would cost 1.0e-1, taken back after verification",
    );
  });
});

/** Holds what is said of every group against the problem itself. */
async function check(name: SearchName, options: Parameters<typeof randomProblem>[0]): Promise<string[]> {
  const problem = randomProblem(options);
  const result = await searches[name](problem, {});
  const { assignment } = result;
  const excess = (at: readonly number[]) =>
    excessOf(
      problem.resources,
      problem.resources.map((resource) => usedOf(problem.groups, resource, at)),
    );
  const uses = (at: readonly number[]) => {
    const minimized = problem.resources.find((resource) => resource.name === problem.minimize)!;
    return usedOf(problem.groups, minimized, at);
  };
  const reasons = explainChoices({ problem, result }, assignment);
  for (const [group, reason] of reasons.entries()) {
    const said = / (?:int\d weights|int8 activations|int\d weights and int8 activations) would cost/.exec(reason)?.[0];
    if (said === undefined) {
      expect(reason).toMatch(/the narrowest offered$/);
      expect(assignment[group]).toBe(problem.groups[group]!.choices.length - 1);
      continue;
    }
    const weight = /int\d+(?= weights)/.exec(said)?.[0];
    const to = problem.groups[group]!.choices.findIndex(({ choice }) => choice.weight === weight);
    const other = assignment.with(group, to);
    const inside = (await problem.evaluate(other)).excess === 0;
    if (/limits are met without/.test(reason)) {
      expect(problem.band).toBe(false);
      expect(excess(assignment)).toBe(0);
      expect(predictedLoss(problem, other)).toBeGreaterThan(predictedLoss(problem, assignment));
    } else if (/would not make/.test(reason)) {
      expect(uses(other)).toBeGreaterThanOrEqual(uses(assignment) * (1 - 1e-9));
    } else if (/the limit on/.test(reason)) expect(excess(other)).toBeGreaterThan(excess(assignment));
    // What is predicted is the truth here.
    else if (/more than the limits leave/.test(reason)) expect(inside).toBe(false);
    else expect(reason).toMatch(/did not try it here$/);
  }
  return reasons;
}

describe.each(Object.keys(searches) as SearchName[])("what is said of %s is true", (name) => {
  it.each([1, 2])("on random problem %i", async (seed) => {
    await check(name, { seed, budget: 2 });
    await check(name, { seed, budget: 2, minimize: "latencyMs" });
    await check(name, { seed, budget: 2.5, limits: { latencyMs: 0.7 } });
    await check(name, { seed, budget: 2, correlation: 0.3 });
    await check(name, { seed, limits: { bytes: 0.5 } });
  });
});

it("exact searches leave nothing untried that would be better", async () => {
  for (const seed of [1, 2, 3]) {
    const reasons = [
      ...(await check("integer-program", { seed, budget: 2 })),
      ...(await check("integer-program", { seed, limits: { bytes: 0.5 } })),
    ];
    expect(reasons.filter((reason) => reason.includes("did not try"))).toEqual([]);
    expect(reasons.some((reason) => reason.includes("more than the limits leave"))).toBe(true);
  }
});
