import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.js";
import type { GraphOptions, TensorError } from "../../src/backend/graph-types.js";
import { targets } from "../../src/backend/info.js";
import { loadBackend } from "../../src/backend/load-node.js";
import { backend } from "../support/backends.js";
import { randomFloats } from "../support/tensors.js";
import { runWithLoss, tinyNet } from "../support/tiny-net.js";

const ids = tinyNet.weights.map((name) => tinyNet.value(name));
const sizes = tinyNet.weights.map((name) => tinyNet.elements(name));
const edges = ["stem", "depthwise", "grouped", "head"].map((name) => ({ node: tinyNet.node(name), port: 0 }));
const samples = 6;
const errors: TensorError[] = [
  ...ids.flatMap((value, i) =>
    [0, 1].map((c) => ({ value, data: randomFloats(sizes[i]!, 40 + 2 * i + c, -0.1, 0.1) })),
  ),
  ...edges.map((edge) => ({ ...edge, grid: { scale: 0.05, zeroPoint: 1, qmin: -128, qmax: 127 } })),
];
const variances: TensorError[] = [
  ...ids.map((value, i) => ({ value, data: randomFloats(sizes[i]!, 60 + i, 0, 1) })),
  ...edges.map((edge) => ({ ...edge, variance: { constant: 0.1, relative: 0.2 } })),
];

/** Everything that a graph computes of samples [0, 6), taken in batches of these sizes. */
async function everything(engine: Backend, options: GraphOptions, batches: readonly number[] = [samples]) {
  const graph = await tinyNet.open(engine, options);
  const outputs: number[] = [];
  const losses: number[] = [];
  // [sample][probe][site], and [sample][probe][error]
  const forms: number[] = [];
  const projections: number[] = [];
  let first = 0;
  for (const count of batches) {
    losses.push(...(await runWithLoss(graph, first, count)));
    outputs.push(...((await graph.read(tinyNet.value("logits"))).data as Float32Array));
    await graph.gradient(ids, { reset: first === 0 });
    await graph.setSites({ weights: ids, edges, probes: 3, perSample: true, seed: 1, firstSample: first });
    const found = await graph.hessian();
    for (let n = 0; n < count; n++)
      for (let p = 0; p < 3; p++)
        forms.push(...found.forms.subarray((p * count + n) * found.sites, (p * count + n + 1) * found.sites));
    await graph.setErrors(errors);
    const passes = [
      await graph.project({ source: "loss" }),
      await graph.project({ source: "fisher", probes: 3, seed: 1, firstSample: first }),
    ];
    await graph.aim([0, 5, 9]);
    passes.push(await graph.interactions());
    await graph.setErrors(variances);
    passes.push(await graph.projectSquares());
    for (let n = 0; n < count; n++)
      for (const { values, probes, errors } of passes)
        for (let p = 0; p < probes; p++)
          projections.push(...values.subarray((p * count + n) * errors, (p * count + n + 1) * errors));
    first += count;
  }
  const gradients = [];
  for (const id of ids) gradients.push(...(await graph.readWeightGradient(id)));
  await graph.dispose();
  return { outputs, losses, gradients, forms, projections };
}

describe("the same bits come out", () => {
  test("for 1, 2 and 4 threads", async () => {
    const one = await everything(backend, { threads: 1 });
    expect(await everything(backend, { threads: 2 })).toEqual(one);
    expect(await everything(backend, { threads: 4 })).toEqual(one);
  });

  test("however the samples are split into batches", async () => {
    const whole = await everything(backend, {});
    expect(await everything(backend, {}, [1, 5])).toEqual(whole);
    expect(await everything(backend, { threads: 2 }, [2, 3, 1])).toEqual(whole);
  });

  test("on every target and on the other backend in the strict flavour", async () => {
    const wasm = await loadBackend("wasm");
    const reference = await everything(wasm, { target: "wasm128/strict" });
    const strict = targets(backend).filter((target) => target.endsWith("/strict"));
    expect(strict.length).toBeGreaterThan(0);
    for (const target of strict) expect(await everything(backend, { target }), target).toEqual(reference);
  });

  test("and to rounding in the fast flavour", async () => {
    const [strict, fast] = [
      await everything(backend, { target: "/strict" }),
      await everything(backend, { target: "/fast" }),
    ];
    for (const part of ["outputs", "losses", "gradients", "forms", "projections"] as const)
      for (const [i, value] of fast[part].entries()) expect(value).toBeCloseTo(strict[part][i]!, 4);
  });
});
