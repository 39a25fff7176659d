import { describe, expect, it } from "vitest";
import type { Format } from "../../src/formats.js";
import { searches } from "../../src/search/index.js";
import { type Assignment, bytesOf, type SearchGroup, type SearchProblem } from "../../src/search/problem.js";

const names = Object.keys(searches) as (keyof typeof searches)[];

/** Numbers in [0, 1) that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Problem extends SearchProblem {
  readonly evaluated: Assignment[];
}

/**
 * Groups of equal size whose true harm is the sum of their own. Limit: `budget`.
 * @param formats - What they may take, narrower and dearer from one to the next.
 * @param noise - Share by which predictions may miss the truth.
 */
function additive(count: number, formats: readonly Format[], budget: number, { seed = 1, noise = 0 } = {}): Problem {
  const next = random(seed);
  const harms = Array.from({ length: count }, () => {
    let harm = 0;
    return [0, ...formats.map(() => (harm += 0.1 + next()))];
  });
  const groups = harms.map(
    (harm, g): SearchGroup => ({
      id: `group ${g}`,
      layers: [`layer ${g}`],
      choices: (["float", ...formats] as Format[]).map((format, c) => ({
        choice: { weight: format, activation: format === "float" ? "float" : "int8" },
        cost: harm[c]! * (1 + noise * (2 * next() - 1)),
        bytes: 1000 / 2 ** c,
      })),
    }),
  );
  const evaluated: Assignment[] = [];
  return {
    groups,
    evaluated,
    async evaluate(assignment) {
      evaluated.push(assignment);
      const divergence = assignment.reduce((sum, choice, g) => sum + harms[g]![choice]!, 0);
      return { divergence, metric: -divergence, feasible: divergence <= budget };
    },
  };
}

/** Fewest bytes of any assignment inside the limit. */
async function optimum(problem: Problem): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  const total = problem.groups.reduce((product, { choices }) => product * choices.length, 1);
  for (let code = 0; code < total; code++) {
    let rest = code;
    const assignment = problem.groups.map(({ choices }) => {
      const choice = rest % choices.length;
      rest = Math.floor(rest / choices.length);
      return choice;
    });
    if ((await problem.evaluate(assignment)).feasible) best = Math.min(best, bytesOf(problem, assignment));
  }
  return best;
}

describe.each(names)("%s", (name) => {
  const search = searches[name];

  it.each([0.5, 2, 4, 6, 100])(
    "finds the optimum for one format, equal sizes and exact predictions (budget %d)",
    async (budget) => {
      const problem = additive(10, ["int8"], budget);
      const { assignment, verdict } = await search(problem, {});
      expect(verdict.feasible).toBe(true);
      expect(bytesOf(problem, assignment)).toBe(await optimum(problem));
    },
  );

  it("stays inside the limits when the predictions are wrong", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const problem = additive(12, ["int8", "int4"], 6, { seed, noise: 0.9 });
      const { assignment, verdict, steps } = await search(problem, {});
      expect(verdict).toEqual(await problem.evaluate(assignment));
      expect(verdict.feasible).toBe(true);
      const feasible = steps.filter((step) => step.verdict.feasible).map((step) => step.bytes);
      expect(bytesOf(problem, assignment)).toBe(Math.min(...feasible));
    }
  });

  it("tells the lowerings in an order that leads from float to its result", async () => {
    const problem = additive(12, ["int8", "int4"], 6, { noise: 0.5 });
    const { assignment, lowered } = await search(problem, {});
    const replayed = problem.groups.map(() => 0);
    for (const { group, from, to } of lowered) {
      expect(replayed[group]).toBe(from);
      replayed[group] = to;
    }
    expect(replayed).toEqual(assignment);
  });

  it("does the same twice", async () => {
    const results = [
      additive(20, ["int8", "int4"], 8, { noise: 0.5 }),
      additive(20, ["int8", "int4"], 8, { noise: 0.5 }),
    ];
    const [first, second] = await Promise.all(results.map((problem) => search(problem, {})));
    expect(first).toEqual(second);
  });

  it("ends with the best so far when it is aborted", async () => {
    const problem = additive(12, ["int8", "int4"], 6);
    const abort = new AbortController();
    const stopping: Problem = {
      ...problem,
      evaluate(assignment) {
        if (problem.evaluated.length === 4) abort.abort();
        return problem.evaluate(assignment);
      },
    };
    const { stopped, steps, assignment } = await search(stopping, { signal: abort.signal });
    expect(stopped).toBe("aborted");
    expect(steps).toHaveLength(5);
    const feasible = steps.filter((step) => step.verdict.feasible).map((step) => step.bytes);
    expect(bytesOf(problem, assignment)).toBe(Math.min(...feasible));
  });

  it("refuses limits that the float model itself does not meet", async () => {
    await expect(search(additive(3, ["int8"], -1), {})).rejects.toThrow(
      expect.objectContaining({ code: "infeasible" }),
    );
  });

  it("reports each evaluation as a step", async () => {
    const problem = additive(6, ["int8"], 2);
    const seen: number[] = [];
    const { steps } = await search(problem, { onProgress: ({ done }) => seen.push(done) });
    expect(seen).toEqual(Array.from({ length: steps.length + 1 }, (_, i) => i));
    expect(steps).toHaveLength(problem.evaluated.length);
  });
});

describe("bisection", () => {
  it("needs a number of evaluations that grows with the logarithm of the groups", async () => {
    const problem = additive(200, ["int8"], 40);
    const { steps } = await searches.bisection(problem, {});
    // Float, all, log2(200) halvings, a tail of four.
    expect(steps.length).toBeLessThanOrEqual(1 + 1 + 8 + 4);
  });

  it("goes on to narrower formats where wider ones all fit", async () => {
    const problem = additive(8, ["int8", "int4"], 1000);
    const { assignment } = await searches.bisection(problem, {});
    expect(assignment).toEqual(problem.groups.map(() => 2));
  });
});
