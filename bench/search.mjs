// Times searches on random problems and tells how far they are from what is proven to be possible.
//   node bench/search.mjs [--groups 500] [--formats 4] [--limits 2] [--seed 1] [--searches integer-program,pareto,...] [--correlation 0.3] [--json]
// Groups of random sizes, costs that grow fourfold with each narrower format, one to three limits on resources at 60 % of float; no band, so that every search decides
// by predictions alone. With --correlation there are interactions, which quadratic-program takes into account.
// Needs dist/ (npm run build).
import { parseArgs } from "node:util";
import { uniformNumbers } from "../dist/random.js";
import { searches } from "../dist/search/index.js";
import { predictedLoss, usedOf } from "../dist/search/score.js";

const { values: args } = parseArgs({
  options: {
    groups: { type: "string", default: "500" },
    formats: { type: "string", default: "4" },
    limits: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    searches: { type: "string", default: Object.keys(searches).join() },
    correlation: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

const choices = ["float", "int16", "int8", "int4"].slice(0, Number(args.formats));
const uniform = uniformNumbers(Number(args.seed));
const sizes = Array.from({ length: Number(args.groups) }, () => 1e3 * 10 ** (3 * uniform()));
const groups = sizes.map((_, g) => {
  const scale = 10 ** (-3 * uniform());
  return {
    id: `group ${g}`,
    layers: [`layer ${g}`],
    sensitivity: scale,
    choices: choices.map((format, c) => ({
      choice: { weight: format, activation: "float" },
      cost: c === 0 ? 0 : scale * 4 ** c * (0.8 + 0.4 * uniform()),
    })),
  };
});
const resources = ["bytes", "macs", "latencyMs"].map((name, r) => {
  const factors = sizes.map((size, g) => {
    const own = size * (0.5 + uniform());
    return { groups: [g], values: Float64Array.from(choices, (_, c) => own / 2 ** (c * (0.7 + 0.3 * uniform()))) };
  });
  const resource = { name, fixed: 0, factors };
  const float = usedOf(
    groups,
    resource,
    groups.map(() => 0),
  );
  return r < Number(args.limits) ? { ...resource, limit: 0.6 * float } : resource;
});
const problem = {
  groups,
  resources,
  ...(args.correlation !== undefined && { interactions: interactions(Number(args.correlation)) }),
  minimize: "bytes",
  band: false,
  seed: Number(args.seed),
  evaluate: async (assignment) => ({ metric: 0, divergence: predictedLoss(problem, assignment), excess: 0 }),
};

/** Terms of errors that have a random share of one common direction, a form like U^T U. */
function interactions(correlation) {
  const all = groups.flatMap((group) =>
    group.choices.map(({ cost }) => Math.sqrt(2 * cost * correlation) * (2 * uniform() - 1)),
  );
  return all.map((a, i) => Float64Array.from(all, (b, j) => (i === j ? 0 : a * b)));
}

const results = [];
for (const name of args.searches.split(",")) {
  const start = performance.now();
  const { verdict, proof, steps } = await searches[name](problem, {});
  results.push({
    search: name,
    seconds: (performance.now() - start) / 1e3,
    loss: verdict.divergence,
    feasible: verdict.feasible,
    gap: proof?.gap ?? null,
    evaluations: steps.length,
  });
}
if (args.json) console.log(JSON.stringify(results));
else console.table(results);
