import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { float32, int64 } from "../support/tensors.js";

/** y = relu(x w) with x [N, 2] and w [2, 2]. */
const { program, tensors, nodes } = encodeProgram(
  buildModel(17)
    .input("x", ["N", 2])
    .constant("w", float32([2, 2], [1, -2, 3, 4]))
    .node("MatMul", ["x", "w"], ["z"], {}, { name: "product" })
    .node("Relu", ["z"], ["y"], {}, { name: "relu" })
    .output("y")
    .build(),
);
const id = (name: string) => tensors.indexOf(name);
const feed = (...values: number[]) => new Map([[id("x"), float32([values.length / 2, 2], values)]]);

async function withGraph(work: (graph: Graph) => Promise<void>): Promise<void> {
  const graph = await Graph.create(backend, program);
  try {
    await work(graph);
  } finally {
    await graph.dispose();
  }
}

describe("a graph", () => {
  test("tells what the engine makes of its nodes", () =>
    withGraph(async (graph) => {
      const [product, relu] = await graph.describe();
      expect(nodes).toEqual(["product", "relu"]);
      expect(product).toMatchObject({ supported: true, differentiable: true, weightPort: 1, dataPorts: [0, 1] });
      expect(relu).toMatchObject({ supported: true, differentiable: true, weightPort: null, dataPorts: [] });
    }));

  test("runs, and reads values of any batch size", () =>
    withGraph(async (graph) => {
      await graph.run(feed(1, 1), { values: [id("z")] });
      expect(await graph.read(id("z"))).toEqual(float32([1, 2], [4, 2]));
      await graph.run(feed(1, 0, 0, 1));
      expect(await graph.read(id("y"))).toEqual(float32([2, 2], [1, 0, 3, 4]));
    }));

  test("replaces constants and restores them", () =>
    withGraph(async (graph) => {
      await graph.setConstant(id("w"), Float32Array.of(1, 0, 0, 1));
      await graph.run(feed(5, 6));
      expect((await graph.read(id("y"))).data).toEqual(Float32Array.of(5, 6));
      await graph.setConstant(id("w"), undefined);
      await graph.run(feed(1, 1));
      expect((await graph.read(id("y"))).data).toEqual(Float32Array.of(4, 2));
    }));

  test("reads node inputs through quantizers", () =>
    withGraph(async (graph) => {
      await graph.setEdges([{ node: 0, port: 0, scale: 0.5, zeroPoint: 0, qmin: -2, qmax: 1 }]);
      await graph.run(feed(0.3, 9));
      expect((await graph.read(id("y"))).data).toEqual(Float32Array.of(2, 1));
      await graph.setEdges([]);
      await graph.run(feed(1, 1));
      expect((await graph.read(id("y"))).data).toEqual(Float32Array.of(4, 2));
    }));

  test("gives losses for each sample, gradients and Hessian forms", () =>
    withGraph(async (graph) => {
      await graph.run(feed(1, 1, 1, 0), { keep: true });
      const losses = await graph.loss({ kind: "squared-error", value: id("y"), target: new Float32Array(4) });
      expect(losses).toEqual(Float64Array.of(10, 0.5));

      await graph.gradient([id("w"), id("x")]);
      expect(await graph.readWeightGradient(id("w"))).toEqual(Float64Array.of(5, 2, 4, 2));
      expect(await graph.readGradient(id("x"))).toEqual(float32([2, 2], [0, 20, 1, 3]));
      await graph.gradient([id("w")], { reset: false });
      expect(await graph.readWeightGradient(id("w"))).toEqual(Float64Array.of(10, 4, 8, 4));

      await graph.setSites({ weights: [id("w")], probes: 1 });
      await graph.setDirection(0, 0, Float32Array.of(1, 0, 0, 1));
      await graph.tangent();
      expect((await graph.readTangent(id("z"), 0)).data).toEqual(Float32Array.of(1, 1, 1, 0));
      const forms = await graph.hessian({ products: true });
      expect(forms).toEqual({ forms: Float64Array.of(2, 1), probes: 1, samples: 2, sites: 1 });
      expect(await graph.readProduct(id("w"), 0)).toEqual(Float64Array.of(2, 1, 1, 1));
    }));

  test.each<[string, number, bigint, Float64Array | null]>([
    ["takes the loss of outputs that are one number a sample", 1, 0n, Float64Array.of(0.5, 2)],
    ["refuses the loss of an output that all samples share", 0, 1n, null],
  ])("%s", async (_, axis, keepdims, expected) => {
    const model = buildModel(13)
      .input("x", ["N", 2])
      .constant("axes", int64([1], [axis]))
      .node("ReduceSum", ["x", "axes"], ["y"], { keepdims })
      .output("y")
      .build();
    const { program, tensors } = encodeProgram(model);
    const graph = await Graph.create(backend, program);
    try {
      await graph.run(new Map([[tensors.indexOf("x"), float32([2, 2], [1, 0, 1, 1])]]), { keep: true });
      const value = tensors.indexOf("y");
      const loss = graph.loss({ kind: "squared-error", value, target: new Float32Array(2) });
      if (expected === null) await expect(loss).rejects.toMatchObject({ code: "invalid-model" });
      else expect(await loss).toEqual(expected);
    } finally {
      await graph.dispose();
    }
  });

  test("gathers statistics of values", () =>
    withGraph(async (graph) => {
      await graph.run(feed(1, 0, 0, 1), { values: [id("z")] });
      expect(await graph.ranges([id("z"), id("y")])).toEqual([
        { min: -2, max: 4, nonFinite: 0 },
        { min: 0, max: 4, nonFinite: 0 },
      ]);
      const bins = Float64Array.of(1, 0, 0);
      await graph.histogram(id("z"), -2, 4, bins);
      expect(bins).toEqual(Float64Array.of(2, 1, 2));
      const sums = Float64Array.of(0, 100);
      const candidate = { zeroPoint: 0, qmin: -8, qmax: 7 };
      await graph.errors(
        id("z"),
        [
          { scale: 1, ...candidate },
          { scale: 2, ...candidate },
        ],
        sums,
      );
      expect(sums).toEqual(Float64Array.of(0, 102));
    }));

  test("keeps the order of calls that are not awaited", () =>
    withGraph(async (graph) => {
      const results = [1, 2, 3, 4].map((x) => {
        graph.run(feed(x, 0));
        return graph.read(id("y"));
      });
      expect((await Promise.all(results)).map(({ data }) => data[0])).toEqual([1, 2, 3, 4]);
    }));

  test("goes on after a failed call", () =>
    withGraph(async (graph) => {
      await expect(graph.run(new Map([[id("x"), float32([1, 3], [1, 2, 3])]]))).rejects.toMatchObject({
        name: "BitwrightError",
      });
      await expect(graph.read(999)).rejects.toMatchObject({ code: "engine-failure" });
      await graph.run(feed(1, 1));
      expect((await graph.read(id("y"))).data).toEqual(Float32Array.of(4, 2));
    }));

  test("does not start what is aborted, and can be used after", () =>
    withGraph(async (graph) => {
      await expect(graph.run(feed(1, 1), { signal: AbortSignal.abort("enough") })).rejects.toMatchObject({
        code: "aborted",
        cause: "enough",
      });
      await graph.run(feed(1, 1));
    }));

  test("cannot be used after dispose, which waits for calls and may be repeated", async () => {
    const graph = await Graph.create(backend, program);
    graph.run(feed(1, 1));
    const last = graph.read(id("y"));
    await graph.dispose();
    expect((await last).data).toEqual(Float32Array.of(4, 2));
    await graph.dispose();
    await expect(graph.read(id("y"))).rejects.toMatchObject({ code: "engine-failure" });
  });

  test("can be made and freed thousands of times", async () => {
    for (let i = 0; i < 3000; i++) await (await Graph.create(backend, program)).dispose();
  });
});

describe("making a graph", () => {
  test.each([
    ["threads", { threads: 0 }],
    ["target", { target: "abacus/fast" }],
  ])("refuses wrong %s", async (_, options) => {
    await expect(Graph.create(backend, program, options)).rejects.toMatchObject({ code: "engine-failure" });
  });

  test("computes in double when asked", async () => {
    const graph = await Graph.create(backend, program, { precision: "float64" });
    await graph.run(new Map([[id("x"), { dtype: "float64", dims: [1, 2], data: Float64Array.of(1 / 3, 0) }]]));
    expect(await graph.read(id("y"))).toEqual({ dtype: "float64", dims: [1, 2], data: Float64Array.of(1 / 3, 0) });
    await graph.dispose();
  });
});

test("an abort stops a run that is under way, on WebAssembly the one after", async () => {
  const size = 1024;
  const products = 12;
  const builder = buildModel(17).input("x0", [size, size]);
  for (let i = 0; i < products; i++) builder.node("MatMul", [`x${i}`, "x0"], [`x${i + 1}`]);
  const chain = encodeProgram(builder.output(`x${products}`).build());
  const graph = await Graph.create(backend, chain.program);
  const abort = new AbortController();
  const feeds = new Map([[0, float32([size, size], new Float32Array(size * size))]]);
  const runs = [1, 2].map(() => graph.run(feeds, { signal: abort.signal }));
  setTimeout(() => abort.abort(), 30);
  const [first, second] = await Promise.allSettled(runs);
  expect(second).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
  if (backend.name === "native") expect(first).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
  await graph.dispose();
});

test("an abort reaches a run that waits for a thread, and that run alone", async () => {
  if (backend.name === "wasm") return;
  const { program, tensors } = encodeProgram(
    buildModel(17).input("x", ["N"]).node("Relu", ["x"], ["y"]).output("y").build(),
  );
  const graph = await Graph.create(backend, program);
  const feeds = new Map([[tensors.indexOf("x"), float32([1], [1])]]);
  // Node's pool runs this many calls at once, unless told otherwise.
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  const x = new Float32Array(1 << 23);
  const [none, scales, zeroPoints] = [new Float32Array(0), Float32Array.of(1), Int32Array.of(0)];
  const busy = Array.from({ length: threads }, () => {
    const rest = [scales, zeroPoints, 1, 1, -8, 7, new Float64Array(1)] as const;
    return backend.callAsync("bw_quantization_error", x, none, 0, 1, 1, x.length, 0, 1, ...rest);
  });
  const abort = new AbortController();
  const run = graph.run(feeds, { signal: abort.signal });
  await Promise.resolve();
  await Promise.resolve();
  abort.abort();
  await expect(run).rejects.toMatchObject({ code: "aborted" });
  await Promise.all(busy);
  await graph.run(feeds);
  await graph.dispose();
});

test("an empty input is taken", async () => {
  const { program, tensors } = encodeProgram(
    buildModel(17).input("x", ["N", 2]).node("Relu", ["x"], ["y"]).output("y").build(),
  );
  const graph = await Graph.create(backend, program);
  await graph.run(new Map([[tensors.indexOf("x"), float32([0, 2], [])]]));
  expect((await graph.read(tensors.indexOf("y"))).dims).toEqual([0, 2]);
  await graph.dispose();
});
