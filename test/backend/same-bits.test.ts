import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.js";
import type { GraphOptions } from "../../src/backend/graph-types.js";
import { targets } from "../../src/backend/info.js";
import { loadBackend } from "../../src/backend/load-node.js";
import { backend } from "../support/backends.js";
import { runWithLoss, tinyNet } from "../support/tiny-net.js";

const ids = tinyNet.weights.map((name) => tinyNet.value(name));
const edges = ["stem", "depthwise", "grouped", "head"].map((name) => ({ node: tinyNet.node(name), port: 0 }));
const samples = 6;

/** Everything that a graph computes of samples [0, 6), taken in batches of these sizes. */
async function everything(engine: Backend, options: GraphOptions, batches: readonly number[] = [samples]) {
  const graph = await tinyNet.open(engine, options);
  const outputs: number[] = [];
  const losses: number[] = [];
  // [sample][probe][site]
  const forms: number[] = [];
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
    first += count;
  }
  const gradients = [];
  for (const id of ids) gradients.push(...(await graph.readWeightGradient(id)));
  await graph.dispose();
  return { outputs, losses, gradients, forms };
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
    for (const part of ["outputs", "losses", "gradients", "forms"] as const)
      for (const [i, value] of fast[part].entries()) expect(value).toBeCloseTo(strict[part][i]!, 4);
  });
});
