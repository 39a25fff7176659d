import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Graph } from "../../src/backend/graph.js";
import type { Projections, TensorError } from "../../src/backend/graph-types.js";
import { backend } from "../support/backends.js";
import { recurrentNet, runRecurrent } from "../support/recurrent-net.js";
import { randomFloats } from "../support/tensors.js";
import { runTied, tiedNet } from "../support/tied-net.js";
import { runWithLoss, tinyNet } from "../support/tiny-net.js";

const samples = 3;
const grids = [
  { scale: 0.05, zeroPoint: 3, qmin: -8, qmax: 7 },
  { scale: 0.2, zeroPoint: 0, qmin: -4, qmax: 3 },
];

interface Net {
  readonly name: string;
  readonly net: typeof tinyNet | typeof tiedNet | typeof recurrentNet;
  readonly run: (graph: Graph, first: number, count: number) => Promise<Float64Array>;
  /** Initializers with errors: one that only errors move, then the weights, which sites move too. */
  readonly initializers: readonly { readonly name: string; readonly elements: number }[];
  readonly output: string;
  /** Rows of the output in a sample, and its columns. */
  readonly rows: number;
  readonly columns: number;
  /** Node inputs with errors, and the value that each reads. */
  readonly edges: readonly { readonly node: string; readonly port: number; readonly value: string }[];
}

const convolutions: Net = {
  name: "convolutions",
  net: tinyNet,
  run: runWithLoss,
  initializers: ["stem.b", ...tinyNet.weights].map((name) => ({
    name,
    elements: name === "stem.b" ? 4 : tinyNet.elements(name),
  })),
  output: "logits",
  rows: 1,
  columns: 3,
  edges: [
    { node: "stem", port: 0, value: "x" },
    { node: "depthwise", port: 0, value: "b" },
    { node: "grouped", port: 0, value: "e" },
    { node: "head", port: 0, value: "i" },
  ],
};

const matrices: Net = {
  name: "tied matrices, a table and products of activations",
  net: tiedNet,
  run: runTied,
  initializers: tiedNet.weights.map((name) => ({ name, elements: tiedNet.elements(name) })),
  output: "y",
  rows: 3,
  columns: 2,
  edges: [
    { node: "first", port: 0, value: "a" },
    { node: "scores", port: 0, value: "d" },
    { node: "scores", port: 1, value: "e" },
    { node: "mix", port: 1, value: "c" },
  ],
};

const recurrences: Net = {
  name: "recurrent layers",
  net: recurrentNet,
  run: runRecurrent,
  initializers: ["head.b", ...recurrentNet.weights].map((name) => ({ name, elements: recurrentNet.elements(name) })),
  output: "y",
  rows: 1,
  columns: 3,
  edges: [{ node: "head", port: 0, value: "f" }],
};

/** Two errors of every weight, then two of every edge. */
function errorsOf({ net, initializers, edges }: Net): TensorError[] {
  const weights = initializers.flatMap(({ name, elements }, i) =>
    [0, 1].map((c) => ({ value: net.value(name), data: randomFloats(elements, 200 + 2 * i + c, -0.5, 0.5) })),
  );
  const inputs = edges.flatMap(({ node, port }) => grids.map((grid) => ({ node: net.node(node), port, grid })));
  return [...weights, ...inputs];
}

const roundHalfEven = (x: number) => {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
};

/** The direction of each error as the calls for sites take it, by site: weights, then edges. Of the first initializer, which is none: -1. */
async function directionsOf(kind: Net, graph: Graph): Promise<{ site: number; data: Float32Array }[]> {
  const { net, initializers, edges } = kind;
  const weights = errorsOf(kind)
    .filter((error) => "value" in error)
    .map((error, i) => ({ site: (i >> 1) - 1, data: error.data }));
  const inputs = [];
  for (const [i, { value }] of edges.entries()) {
    const { data } = await graph.read(net.value(value));
    for (const { scale, zeroPoint, qmin, qmax } of grids) {
      const error = Float32Array.from(data as Float64Array, (x) => {
        const code = Math.min(Math.max(roundHalfEven(x / Math.fround(scale)) + zeroPoint, qmin), qmax);
        return (code - zeroPoint) * Math.fround(scale) - x;
      });
      inputs.push({ site: initializers.length - 1 + i, data: error });
    }
  }
  return [...weights, ...inputs];
}

const at = ({ values, samples, errors }: Projections, probe: number, sample: number, error: number) =>
  values[(probe * samples + sample) * errors + error]!;

describe.each([convolutions, matrices, recurrences])("errors of $name", (kind) => {
  const { net, run, initializers, output, rows, columns, edges } = kind;
  const errors = errorsOf(kind);
  const ids = initializers.map(({ name }) => net.value(name));
  const sites = {
    weights: ids.slice(1),
    edges: edges.map(({ node, port }) => ({ node: net.node(node), port })),
  };
  const siteCount = sites.weights.length + sites.edges.length;
  let graph: Graph;
  /** jacobian[error]: the output's derivative along it, and what the loss makes of the output. */
  let jacobian: Float64Array[];
  let outputs: Float64Array;
  let outputGradient: Float64Array;

  beforeAll(async () => {
    graph = await net.open(backend, { precision: "float64" });
    await run(graph, 0, samples);
    outputs = (await graph.read(net.value(output))).data as Float64Array;
    await graph.gradient([net.value(output)]);
    outputGradient = (await graph.readGradient(net.value(output))).data as Float64Array;
    await graph.setErrors(errors);
    await graph.aim(errors.map((_, i) => i));
    await graph.tangent();
    jacobian = [];
    for (const i of errors.keys()) jacobian.push((await graph.readTangent(net.value(output), i)).data as Float64Array);
  });
  afterAll(() => graph.dispose());

  const each = rows * columns;
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>, n: number) => {
    let sum = 0;
    for (let j = n * each; j < (n + 1) * each; j++) sum += a[j]! * b[j]!;
    return sum;
  };
  const close = (found: number, expected: number, scale = 1) =>
    expect(Math.abs(found - expected), `${found} is not ${expected}`).toBeLessThan(1e-6 * scale);

  test("move the output as explicit directions do", async () => {
    const directions = await directionsOf(kind, graph);
    await graph.setSites({ ...sites, probes: directions.length });
    for (const [p, { site, data }] of directions.entries())
      for (let s = 0; s < siteCount; s++) await graph.setDirection(s, p, s === site ? data : undefined);
    await graph.tangent();
    for (const [p, { site }] of directions.entries()) {
      if (site < 0) continue;
      const expected = (await graph.readTangent(net.value(output), p)).data as Float64Array;
      for (const [j, value] of expected.entries()) close(jacobian[p]![j]!, value);
    }
  });

  test("move the output as central differences do", async () => {
    const engine = await net.open(backend, { precision: "float64" });
    for (const [i, error] of errors.entries()) {
      if (!("value" in error)) continue;
      const moved = async (step: number) => {
        await engine.setConstant(error.value, undefined);
        await run(engine, 0, 1);
        const base = (await engine.read(error.value)).data as Float64Array;
        await engine.setConstant(
          error.value,
          Float32Array.from(base, (w, j) => w + step * error.data[j]!),
        );
        await run(engine, 0, samples);
        return (await engine.read(net.value(output))).data as Float64Array;
      };
      const step = 2 ** -8;
      const [low, high] = [await moved(-step), await moved(step)];
      await engine.setConstant(error.value, undefined);
      for (const [j, value] of jacobian[i]!.entries())
        expect(Math.abs((high[j]! - low[j]!) / (2 * step) - value)).toBeLessThan(1e-4);
    }
    await engine.dispose();
  });

  test("are projected on the gradient of each sample's loss", async () => {
    const found = await graph.project({ source: "loss" });
    expect(found).toMatchObject({ probes: 1, samples, errors: errors.length });
    for (const i of errors.keys())
      for (let n = 0; n < samples; n++) close(at(found, 0, n, i), dot(outputGradient, jacobian[i]!, n));
  });

  /** The cotangent that some signs of a row (cross-entropy) or of a sample (squared error) make. */
  const cotangent = (n: number, signs: readonly number[]) => {
    if (kind !== convolutions) return signs;
    const scores = signs.map((_, j) => Math.exp(outputs[n * columns + j]!));
    const total = scores.reduce((a, b) => a + b);
    const p = scores.map((score) => score / total);
    const mean = p.reduce((sum, pj, j) => sum + Math.sqrt(pj) * signs[j]!, 0);
    return p.map((pj, j) => Math.sqrt(pj) * signs[j]! - pj * mean);
  };

  test("are projected on cotangents whose covariance is the loss's Hessian", async () => {
    const patterns = Array.from({ length: 2 ** each }, (_, bits) =>
      Array.from({ length: each }, (_, j) => ((bits >> j) & 1 ? -1 : 1)),
    );
    const expected = Array.from({ length: samples }, (_, n) =>
      patterns.map((signs) => {
        const xi = new Float64Array(samples * each);
        xi.set(cotangent(n, signs), n * each);
        return jacobian.map((r) => dot(xi, r, n));
      }),
    );
    const draws = 1024;
    const counts = Array.from({ length: samples }, () => new Array<number>(patterns.length).fill(0));
    for (let seed = 0; seed < draws; seed++) {
      const found = await graph.project({ source: "fisher", probes: 1, seed, firstSample: 7 });
      for (let n = 0; n < samples; n++) {
        const row = [...errors.keys()].map((i) => at(found, 0, n, i));
        const pattern = expected[n]!.findIndex((u) => u.every((value, i) => Math.abs(value - row[i]!) < 1e-9));
        expect(pattern, "one of the patterns of signs").toBeGreaterThanOrEqual(0);
        counts[n]![pattern]!++;
      }
    }
    // Every pattern is as likely, so the mean over draws tends to the mean over patterns, which is the Gauss-Newton matrix.
    for (const count of counts.flat()) {
      const p = 1 / patterns.length;
      expect(Math.abs(count - draws * p)).toBeLessThan(5 * Math.sqrt(draws * p * (1 - p)));
    }
    for (let n = 0; n < samples; n++)
      for (const i of errors.keys())
        for (const j of errors.keys()) {
          const mean = expected[n]!.reduce((sum, u) => sum + u[i]! * u[j]!, 0) / patterns.length;
          close(mean, hessianOfLoss(n, jacobian[i]!, jacobian[j]!));
        }
  });

  test("are projected on cotangents that give the loss's Hessian exactly, as many as the output is wide", async () => {
    const probes = 2 ** Math.ceil(Math.log2(each));
    const found = await graph.project({ source: "fisher", probes, seed: 3, firstSample: 7 });
    for (let n = 0; n < samples; n++)
      for (const i of errors.keys())
        for (const j of errors.keys()) {
          let mean = 0;
          for (let k = 0; k < probes; k++) mean += (at(found, k, n, i) * at(found, k, n, j)) / probes;
          close(mean, hessianOfLoss(n, jacobian[i]!, jacobian[j]!));
        }
  });

  /** r^T (d2L/dz2) s for sample n. */
  const hessianOfLoss = (n: number, r: Float64Array, s: Float64Array) => {
    if (kind !== convolutions) return dot(r, s, n);
    const scores = Array.from({ length: columns }, (_, j) => Math.exp(outputs[n * columns + j]!));
    const total = scores.reduce((a, b) => a + b);
    const mean = (x: Float64Array) => scores.reduce((sum, score, j) => sum + (score / total) * x[n * columns + j]!, 0);
    const products = Float64Array.from(r, (value, j) => value * s[j]!);
    return mean(products) - mean(r) * mean(s);
  };

  test("interact as the forms of explicit directions do, in whatever groups they are aimed at", async () => {
    const directions = await directionsOf(kind, graph);
    const found: number[][][] = errors.map(() => []);
    for (const group of [[3, 0, 7, 3], errors.map((_, i) => i).reverse()]) {
      await graph.aim(group);
      const values = await graph.interactions();
      expect(values).toMatchObject({ probes: group.length, samples, errors: errors.length });
      for (const [p, j] of group.entries())
        for (const i of errors.keys()) {
          const all = Array.from({ length: samples }, (_, n) => at(values, p, n, i));
          for (const [n, value] of (found[j]![i] ?? all).entries()) close(all[n]!, value, 1e-6);
          found[j]![i] = all;
        }
    }
    for (const j of errors.keys())
      for (let i = 0; i < j; i++) for (let n = 0; n < samples; n++) close(found[j]![i]![n]!, found[i]![j]![n]!, 1e-4);

    // Forms v . H v of u + v for every pair of errors, the sums of two as probes of one pass.
    const pairs = errors
      .flatMap((_, j) => errors.slice(0, j + 1).map((_, i) => [i, j] as const))
      .filter(([i]) => i >= 2);
    const forms = new Map<readonly number[], (site: number, n: number) => number>();
    for (let first = 0; first < pairs.length; first += 64) {
      const group = pairs.slice(first, first + 64);
      await graph.setSites({ ...sites, probes: group.length });
      for (const [p, [i, j]] of group.entries()) {
        const moves = (i === j ? [i] : [i, j]).map((error) => directions[error]!);
        for (let s = 0; s < siteCount; s++) {
          const own = moves.filter(({ site }) => site === s).map(({ data }) => data);
          await graph.setDirection(
            s,
            p,
            own[0]?.map((value, k) => value + (own[1]?.[k] ?? 0)),
          );
        }
      }
      const all = (await graph.hessian()).forms;
      for (const [p, pair] of group.entries()) forms.set(pair, (site, n) => all[(p * samples + n) * siteCount + site]!);
    }
    const alone = (error: number) => forms.get(pairs.find(([i, j]) => i === error && j === error)!)!;
    for (const pair of pairs) {
      const [i, j] = pair;
      const [site, other] = [directions[i]!.site, directions[j]!.site];
      for (let n = 0; n < samples; n++) {
        // (u + v) . H (u + v) of one tensor and, of two, u . H (u + v).
        const both = forms.get(pair)!(site, n);
        const rest = alone(i)(site, n) + (site === other ? alone(j)(site, n) : 0);
        const expected = i === j ? both : site === other ? (both - rest) / 2 : both - rest;
        close(found[j]![i]![n]!, expected, 10);
      }
    }
  });

  test("and variances meet the squares of each sample's gradient", async () => {
    const variances = initializers.map(({ name, elements }) => ({
      value: net.value(name),
      data: randomFloats(elements, 300, 0, 1),
    }));
    const single = edges.filter(({ value }) => !["b", "c", "d"].includes(value));
    const inputs = single.flatMap(({ node, port }) =>
      [
        { constant: 0.5, relative: 0 },
        { constant: 0.25, relative: 2 },
      ].map((variance) => ({ node: net.node(node), port, variance })),
    );
    await graph.setErrors([...variances, ...inputs]);
    const found = await graph.projectSquares();
    expect(found).toMatchObject({ probes: 1, samples, errors: variances.length + inputs.length });
    const engine = await net.open(backend, { precision: "float64" });
    for (let n = 0; n < samples; n++) {
      await run(engine, n, 1);
      const values = single.map(({ value }) => net.value(value));
      await engine.gradient([...ids, ...values]);
      for (const [i, { value, data }] of variances.entries()) {
        const gradient = await engine.readWeightGradient(value);
        const expected = gradient.reduce((sum, g, k) => sum + g * g * data[k]!, 0);
        expect(expected).not.toBe(0);
        close(at(found, 0, n, i), expected);
      }
      for (const [i, { variance }] of inputs.entries()) {
        const g = (await engine.readGradient(values[i >> 1]!)).data as Float64Array;
        const x = (await engine.read(values[i >> 1]!)).data as Float64Array;
        const expected = g.reduce(
          (sum, gk, k) => sum + gk * gk * (variance.constant + variance.relative * x[k]! ** 2),
          0,
        );
        close(at(found, 0, n, variances.length + i), expected);
      }
    }
    await engine.dispose();
    await graph.setErrors(errors);
  });
});

describe("errors that cannot be", () => {
  const weight = tinyNet.value("head.w");
  const data = new Float32Array(tinyNet.elements("head.w"));
  const edge = { node: tinyNet.node("head"), port: 0 };
  const variance = { constant: 1, relative: 0 };
  let graph: Graph;
  beforeAll(async () => {
    graph = await tinyNet.open(backend);
    await runWithLoss(graph, 0, samples);
  });
  afterAll(() => graph.dispose());

  const refused = (work: Promise<unknown>, message: string, code = "engine-failure") =>
    expect(work).rejects.toMatchObject({ name: "BitwrightError", code, message: expect.stringContaining(message) });

  test("are refused when they are declared", async () => {
    await refused(graph.setErrors([{ value: 999, data }]), "no value 999");
    await refused(graph.setErrors([{ value: weight, data: data.subarray(1) }]), "has 18 elements, not 17");
    await refused(graph.setErrors([{ value: tinyNet.value("x"), data }]), "not a float initializer");
    await refused(graph.setErrors([{ ...edge, port: 9, grid: grids[0]! }]), "no input 9");
    await refused(graph.setErrors([{ ...edge, grid: { ...grids[0]!, scale: 0 } }]), "scale must be positive");
    await refused(graph.setErrors([{ ...edge, variance: { constant: -1, relative: 0 } }]), "variance is not negative");
  });

  test("are refused when they are used", async () => {
    await graph.setErrors([]);
    await refused(graph.project({ source: "loss" }), "no errors are set");
    await graph.setErrors([{ ...edge, variance }]);
    await refused(graph.project({ source: "loss" }), "not given as a difference");
    await refused(graph.aim([0]), "not given as a difference");
    await graph.setErrors([{ ...edge, grid: grids[0]! }]);
    await refused(graph.projectSquares(), "not given as a variance");
    await refused(graph.interactions(), "aimed at");
    await refused(graph.aim([1]), "no error 1");
    await refused(graph.aim([]), "between 1 and 64");
    await refused(graph.project({ source: "fisher", probes: 65, seed: 0, firstSample: 0 }), "between 1 and 64");
    await graph.loss({ kind: "sum", value: tinyNet.value("logits") });
    await refused(graph.project({ source: "fisher", probes: 1, seed: 0, firstSample: 0 }), "no curvature");
    await runWithLoss(graph, 0, samples);
  });

  test("of values that an edge shares with other readers stay its own", async () => {
    // "b" is read by "depthwise" and, past it, by a sum.
    const errors = [{ node: tinyNet.node("depthwise"), port: 0, grid: grids[0]! }];
    await graph.setErrors(errors);
    await graph.aim([0]);
    await graph.tangent();
    const c = (await graph.readTangent(tinyNet.value("c"), 0)).data as Float32Array;
    const d = (await graph.readTangent(tinyNet.value("d"), 0)).data as Float32Array;
    expect(c.some((value) => value !== 0)).toBe(true);
    expect(d).toEqual(c);
  });
});
