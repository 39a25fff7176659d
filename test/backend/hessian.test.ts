import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Graph } from "../../src/backend/graph.js";
import { backend } from "../support/backends.js";
import { runTied, tiedNet } from "../support/tied-net.js";
import { runWithLoss, tinyNet } from "../support/tiny-net.js";

const samples = 3;

const nets = [
  { name: "a small network", net: tinyNet, run: runWithLoss },
  { name: "a network with a table and tied matrices", net: tiedNet, run: runTied },
];

describe.each(nets)("the dense Hessian of $name", ({ net, run }) => {
  const ids = net.weights.map((name) => net.value(name));
  const sizes = net.weights.map((name) => net.elements(name));
  const parameters = sizes.reduce((sum, size) => sum + size, 0);
  /** Weight and element of each parameter. */
  const places = sizes.flatMap((size, weight) => Array.from({ length: size }, (_, element) => ({ weight, element })));

  let graph: Graph;
  /** The whole Hessian of the summed loss, row by row. */
  let hessian: Float64Array[];

  beforeAll(async () => {
    graph = await net.open(backend, { precision: "float64" });
    await run(graph, 0, samples);
    hessian = await denseHessian(graph);
  });

  afterAll(() => graph.dispose());

  /** H e_j for every unit vector e_j, some at a time. */
  async function denseHessian(engine: Graph): Promise<Float64Array[]> {
    const rows: Float64Array[] = [];
    const probes = 16;
    for (let first = 0; first < parameters; first += probes) {
      await engine.setSites({ weights: ids, probes });
      for (let p = 0; p < probes; p++) {
        const place = places[first + p];
        for (const [weight, size] of sizes.entries()) {
          const direction = place?.weight === weight ? unit(size, place.element) : undefined;
          await engine.setDirection(weight, p, direction);
        }
      }
      await engine.hessian({ products: true });
      for (let p = 0; p < Math.min(probes, parameters - first); p++) {
        const parts = [];
        for (const id of ids) parts.push(...(await engine.readProduct(id, p)));
        rows.push(Float64Array.from(parts));
      }
    }
    return rows;
  }

  const largest = () => Math.max(...hessian.flatMap((row) => [...row].map(Math.abs)));

  test("is symmetric", () => {
    let worst = 0;
    for (let i = 0; i < parameters; i++)
      for (let j = 0; j < i; j++) worst = Math.max(worst, Math.abs(hessian[i]![j]! - hessian[j]![i]!));
    expect(worst).toBeLessThan(1e-12 * largest());
  });

  test("is what the gradient changes by", async () => {
    const engine = await net.open(backend, { precision: "float64" });
    await run(engine, 0, samples);
    const gradients = async () => {
      await run(engine, 0, samples);
      await engine.gradient(ids);
      const parts = [];
      for (const id of ids) parts.push(...(await engine.readWeightGradient(id)));
      return parts;
    };
    for (const weight of ids.keys()) {
      const base = (await engine.read(ids[weight]!)).data as Float64Array;
      // One element of each weight: the others differ in their index alone.
      const element = base.length >> 1;
      const shifted = async (step: number) => {
        const data = Float32Array.from(base);
        data[element]! += step;
        await engine.setConstant(ids[weight]!, data);
        return { at: data[element]!, gradient: await gradients() };
      };
      const [low, high] = [await shifted(-(2 ** -9)), await shifted(2 ** -9)];
      await engine.setConstant(ids[weight]!, undefined);
      const row = hessian[sizes.slice(0, weight).reduce((sum, size) => sum + size, 0) + element]!;
      const deviations = Array.from(row, (exact, j) =>
        Math.abs((high.gradient[j]! - low.gradient[j]!) / (high.at - low.at) - exact),
      );
      expect(Math.max(...deviations)).toBeLessThan(1e-5 * largest());
    }
    await engine.dispose();
  });

  test("has the traces that probes estimate, within their standard errors", async () => {
    const probes = 32;
    for (const perSample of [false, true]) {
      await graph.setSites({ weights: ids, probes, perSample, seed: 5 });
      const { forms } = await graph.hessian();
      for (const [weight, size] of sizes.entries()) {
        const offset = sizes.slice(0, weight).reduce((sum, count) => sum + count, 0);
        let trace = 0;
        for (let i = offset; i < offset + size; i++) trace += hessian[i]![i]!;
        const estimates = Array.from({ length: probes }, (_, p) => {
          let sum = 0;
          for (let n = 0; n < samples; n++) sum += forms[(p * samples + n) * ids.length + weight]!;
          return sum;
        });
        const mean = estimates.reduce((sum, x) => sum + x, 0) / probes;
        const variance = estimates.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (probes - 1);
        expect(Math.abs(mean - trace)).toBeLessThan(4 * Math.sqrt(variance / probes));
      }
    }
  });

  test("gives the quadratic forms of explicit directions", async () => {
    await graph.setSites({ weights: ids, probes: 1 });
    const direction = sizes.map((size, weight) => Float32Array.from({ length: size }, (_, i) => Math.sin(i + weight)));
    for (const [weight, data] of direction.entries()) await graph.setDirection(weight, 0, data);
    const { forms } = await graph.hessian();
    const whole = direction.flatMap((data) => [...data]);
    for (const [weight, size] of sizes.entries()) {
      const offset = sizes.slice(0, weight).reduce((sum, count) => sum + count, 0);
      let expected = 0;
      for (let i = offset; i < offset + size; i++)
        for (let j = 0; j < parameters; j++) expected += whole[i]! * hessian[i]![j]! * whole[j]!;
      let found = 0;
      for (let n = 0; n < samples; n++) found += forms[n * ids.length + weight]!;
      expect(found).toBeCloseTo(expected, 10);
    }
  });
});

function unit(size: number, element: number): Float32Array {
  const direction = new Float32Array(size);
  direction[element] = 1;
  return direction;
}

describe("probes of activations", () => {
  let graph: Graph;
  beforeAll(async () => {
    graph = await tinyNet.open(backend, { precision: "float64" });
    await runWithLoss(graph, 0, samples);
  });
  afterAll(() => graph.dispose());

  test("agree with probes of a weight that moves the activation alike", async () => {
    // The input of "head" is moved by v through its own edge, or the output of "head" by v W: the forms must agree, since the logits are
    // all that the loss sees and are linear in that input.
    const head = { node: tinyNet.node("head"), port: 0 };
    const width = 6;
    const direction = Float32Array.from({ length: samples * width }, (_, i) => Math.cos(i));
    await graph.setSites({ weights: [], edges: [head], probes: 1 });
    await graph.setDirection(0, 0, direction);
    const { forms } = await graph.hessian();
    const weight = (await graph.read(tinyNet.value("head.w"))).data as Float64Array;
    const logits = (await graph.read(tinyNet.value("logits"))).data as Float64Array;
    for (let n = 0; n < samples; n++) {
      const moved = [0, 1, 2].map((c) =>
        Array.from({ length: width }, (_, k) => direction[n * width + k]! * weight[k * 3 + c]!).reduce(
          (a, b) => a + b,
          0,
        ),
      );
      const scores = [0, 1, 2].map((c) => Math.exp(logits[n * 3 + c]!));
      const total = scores.reduce((a, b) => a + b, 0);
      const p = scores.map((score) => score / total);
      const mean = p.reduce((sum, pc, c) => sum + pc * moved[c]!, 0);
      // (diag(p) - p p^T) is the Hessian of the cross-entropy in the logits.
      const expected = p.reduce((sum, pc, c) => sum + pc * moved[c]! * (moved[c]! - mean), 0);
      expect(forms[n]!).toBeCloseTo(expected, 10);
    }
  });

  test("agree with the weight's where both change the products alike", async () => {
    // "depthwise" reads b. Its products alone are moved: b enters the sum behind it as it was, so this is the edge's Hessian, not the tensor's.
    const edge = { node: tinyNet.node("depthwise"), port: 0 };
    const weight = tinyNet.value("depthwise.w");
    const size = tinyNet.elements("depthwise.w");
    const b = (await graph.read(tinyNet.value("b"))).data as Float64Array;
    // Moving the edge by b itself and moving the weight by itself change the products alike: both forms are the same.
    await graph.setSites({ weights: [], edges: [edge], probes: 1 });
    await graph.setDirection(0, 0, Float32Array.from(b));
    const alongEdge = (await graph.hessian()).forms;
    await graph.setSites({ weights: [weight], probes: 1 });
    const values = (await graph.read(weight)).data as Float64Array;
    expect(values.length).toBe(size);
    await graph.setDirection(0, 0, Float32Array.from(values));
    const alongWeight = (await graph.hessian()).forms;
    for (let n = 0; n < samples; n++) expect(alongEdge[n]!).toBeCloseTo(alongWeight[n]!, 6);
  });
});
