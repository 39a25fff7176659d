import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import type { GraphOptions, Loss, TensorError } from "../../src/backend/graph-types.js";
import { BitwrightError } from "../../src/errors.js";
import { encodeProgram } from "../../src/onnx/program.js";
import type { Tensor } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { float32, int64, randomFloats } from "../support/tensors.js";

interface Net {
  readonly name: string;
  readonly model: ReturnType<ReturnType<typeof buildModel>["build"]>;
  /** Inputs of samples [first, first + count). */
  readonly feeds: (first: number, count: number) => Record<string, Tensor>;
  readonly output: string;
  /** Elements of the output in a sample. */
  readonly each: number;
  readonly weights: readonly string[];
  readonly edges: readonly { readonly node: string; readonly port: number }[];
}

const [channels, side] = [4, 8];

/** Blocks of convolutions with residual sums, pools and branches that meet far behind where they part. */
const residual: Net = (() => {
  const blocks = 6;
  const builder = buildModel(17).input("x", ["N", channels, side, side]);
  const weights: string[] = [];
  const edges: { node: string; port: number }[] = [];
  const conv = (input: string, output: string, seed: number) => {
    builder
      .constant(
        `${output}.w`,
        float32([channels, channels, 3, 3], randomFloats(channels * channels * 9, seed, -0.3, 0.3)),
      )
      .node("Conv", [input, `${output}.w`], [output], { pads: [1n, 1n, 1n, 1n] }, { name: output });
    weights.push(`${output}.w`);
    edges.push({ node: output, port: 0 });
  };
  conv("x", "stem", 1);
  let last = "stem";
  for (let i = 0; i < blocks; i++) {
    conv(last, `a${i}`, 10 + i);
    builder.node("Sigmoid", [`a${i}`], [`b${i}`]);
    conv(`b${i}`, `c${i}`, 20 + i);
    builder.node("Add", [`c${i}`, last], [`d${i}`]).node("MaxPool", [`d${i}`], [`e${i}`], {
      kernel_shape: [3n, 3n],
      pads: [1n, 1n, 1n, 1n],
    });
    last = `e${i}`;
  }
  builder
    .node("Concat", ["stem", last, "b2"], ["all"], { axis: 1n })
    .node("GlobalAveragePool", ["all"], ["pooled"])
    .node("Flatten", ["pooled"], ["flat"])
    .constant("head.w", float32([3 * channels, 3], randomFloats(9 * channels, 40)))
    .node("Gemm", ["flat", "head.w"], ["y"], {}, { name: "head" })
    .output("y");
  return {
    name: "convolutions with residual sums",
    model: builder.build(),
    feeds: (first, count) => ({ x: samplesOf(first, count, [channels, side, side]) }),
    output: "y",
    each: 3,
    weights: [...weights, "head.w"],
    edges,
  };
})();

/** Layers of attention that share their weights, with normalization, behind a table. */
const attention: Net = (() => {
  const [rows, length, width, layers] = [7, 5, 8, 4];
  const matrix = (n: number, m: number, seed: number) => float32([n, m], randomFloats(n * m, seed, -0.6, 0.6));
  const builder = buildModel(17)
    .input("ids", ["N", length], "int64")
    .constant("table", matrix(rows, width, 50))
    .constant("positions", matrix(length, width, 51))
    .constant("q.w", matrix(width, width, 52))
    .constant("v.w", matrix(width, width, 53))
    .constant("scale", float32([width], randomFloats(width, 54, 0.5, 1.5)))
    .constant("shift", float32([width], randomFloats(width, 55)))
    .constant("head.w", matrix(width, 3, 56))
    .node("Gather", ["table", "ids"], ["rows"], {}, { name: "embed" })
    .node("Add", ["rows", "positions"], ["h0"], {}, { name: "place" });
  for (let i = 0; i < layers; i++) {
    builder
      .node("LayerNormalization", [`h${i}`, "scale", "shift"], [`n${i}`], { axis: -1n })
      .node("MatMul", [`n${i}`, "q.w"], [`q${i}`], {}, { name: `query${i}` })
      .node("Transpose", [`n${i}`], [`t${i}`], { perm: [0n, 2n, 1n] })
      .node("MatMul", [`q${i}`, `t${i}`], [`s${i}`], {}, { name: `scores${i}` })
      .node("Softmax", [`s${i}`], [`p${i}`], { axis: -1n })
      .node("MatMul", [`n${i}`, "v.w"], [`v${i}`], {}, { name: `value${i}` })
      .node("MatMul", [`p${i}`, `v${i}`], [`m${i}`], {}, { name: `mix${i}` })
      .node("Add", [`m${i}`, `h${i}`], [`h${i + 1}`]);
  }
  builder.node("MatMul", [`h${layers}`, "head.w"], ["y"], {}, { name: "head" }).output("y");
  return {
    name: "attention with shared weights",
    model: builder.build(),
    feeds: (first, count) => ({
      ids: int64(
        [count, length],
        Array.from({ length: count * length }, (_, i) => (Math.floor(i / length) + first + (i % length) ** 2) % rows),
      ),
    }),
    output: "y",
    each: 3 * length,
    weights: ["table", "positions", "q.w", "v.w", "head.w"],
    edges: [
      { node: "query0", port: 0 },
      { node: "scores1", port: 0 },
      { node: "scores1", port: 1 },
      { node: "mix2", port: 0 },
      { node: "head", port: 0 },
    ],
  };
})();

/** LSTMs one after the other, whose samples are on the second axis. */
const recurrent: Net = (() => {
  const [steps, width, layers] = [4, 3, 4];
  const builder = buildModel(17)
    .input("x", ["N", steps, width])
    .constant("axis", int64([1], [1]))
    .node("Transpose", ["x"], ["h0"], { perm: [1n, 0n, 2n] });
  const weights: string[] = [];
  for (let i = 0; i < layers; i++) {
    for (const [j, name] of [`w${i}`, `r${i}`].entries()) {
      builder.constant(name, float32([1, 4 * width, width], randomFloats(4 * width * width, 60 + 2 * i + j)));
      weights.push(name);
    }
    builder
      .node("LSTM", [`h${i}`, `w${i}`, `r${i}`], [`o${i}`], { hidden_size: BigInt(width) }, { name: `lstm${i}` })
      .node("Squeeze", [`o${i}`, "axis"], [`h${i + 1}`]);
  }
  builder
    .node("Transpose", [`h${layers}`], ["rows"], { perm: [1n, 0n, 2n] })
    .node("Flatten", ["rows"], ["flat"])
    .constant("head.w", float32([steps * width, 3], randomFloats(3 * steps * width, 80)))
    .node("Gemm", ["flat", "head.w"], ["y"], {}, { name: "head" })
    .output("y");
  return {
    name: "LSTMs",
    model: builder.build(),
    feeds: (first, count) => ({ x: samplesOf(first, count, [steps, width]) }),
    output: "y",
    each: 3,
    weights: [...weights, "head.w"],
    edges: [{ node: "head", port: 0 }],
  };
})();

function samplesOf(first: number, count: number, dims: readonly number[]): Tensor {
  const each = dims.reduce((product, dim) => product * dim, 1);
  const data = Array.from({ length: count }, (_, n) => [...randomFloats(each, 300 + first + n, -1, 1)]).flat();
  return float32([count, ...dims], data);
}

const samples = 3;

async function open({ model }: Net, options: GraphOptions = {}) {
  const { program, tensors, nodes } = encodeProgram(model);
  const graph = await Graph.create(backend, program, options);
  const value = (name: string) => tensors.indexOf(name);
  return { graph, value, node: (name: string) => nodes.indexOf(name), tensors };
}

type Opened = Awaited<ReturnType<typeof open>>;
type Keep = true | "segments";

async function run(net: Net, { graph, value }: Opened, keep: Keep, values: readonly number[] = []): Promise<Loss> {
  const feeds = new Map(Object.entries(net.feeds(0, samples)).map(([name, tensor]) => [value(name), tensor]));
  await graph.run(feeds, { keep, values });
  return { kind: "squared-error", value: value(net.output), target: randomFloats(samples * net.each, 99) };
}

/** Everything that derivatives give, and by the way every value. */
async function everything(net: Net, keep: Keep, options: GraphOptions = {}) {
  const opened = await open(net, options);
  const { graph, value, node, tensors } = opened;
  const weights = net.weights.map(value);
  const edges = net.edges.map(({ node: name, port }) => ({ node: node(name), port }));
  const loss = await run(net, opened, keep);
  const found: unknown[] = [];
  const primals: Tensor[] = [];
  for (const [i] of tensors.entries()) primals.push(await graph.read(i));
  found.push(await graph.loss(loss), primals);
  await graph.gradient(
    [...weights, value(Object.keys(net.feeds(0, 1))[0]!)].filter((id) => primals[id]!.dtype !== "int64"),
  );
  for (const id of weights) found.push(await graph.readWeightGradient(id));

  await graph.setSites({ weights, edges, probes: 2, perSample: true, seed: 1 });
  await graph.setDirection(weights.length, 1, randomFloats(primals[await edgeValue(net, opened, 0)]!.data.length, 7));
  found.push(await graph.hessian({ products: true }));
  for (const id of weights) found.push(await graph.readProduct(id, 0), await graph.readProduct(id, 1));
  await graph.tangent();
  found.push(await graph.readTangent(value(net.output), 1));

  const errors: TensorError[] = [
    ...weights.map((id, i) => ({ value: id, data: randomFloats(primals[id]!.data.length, 200 + i, -0.1, 0.1) })),
    ...edges.map((edge) => ({ ...edge, grid: { scale: 0.05, zeroPoint: 1, qmin: -128, qmax: 127 } })),
  ];
  await graph.setErrors(errors);
  found.push(await graph.project({ source: "loss" }));
  found.push(await graph.project({ source: "fisher", probes: 3, seed: 2, firstSample: 0 }));
  await graph.aim([0, weights.length - 1, weights.length]);
  found.push(await graph.interactions());
  await graph.setErrors([
    ...weights.map((id, i) => ({ value: id, data: randomFloats(primals[id]!.data.length, 220 + i, 0, 1) })),
    ...edges.map((edge) => ({ ...edge, variance: { constant: 0.1, relative: 0.2 } })),
  ]);
  found.push(await graph.projectSquares());
  await graph.dispose();
  return found;
}

async function edgeValue(net: Net, { value }: Opened, edge: number): Promise<number> {
  const { node, port } = net.edges[edge]!;
  return value(net.model.graph.node.find(({ name }) => name === node)!.input[port]!);
}

describe.each([residual, attention, recurrent])("$name whose activations are computed again", (net) => {
  test.each<[string, GraphOptions]>([
    ["float", { threads: 2 }],
    ["double", { precision: "float64" }],
  ])("have the same values and derivatives, bit by bit, in %s", async (_, options) => {
    expect(await everything(net, "segments", options)).toEqual(await everything(net, true, options));
  });

  test("have the same losses on, and gradients at, what was let go", async () => {
    const values = net.model.graph.node.map(({ output }) => output[0]!);
    const perKeep = async (keep: Keep) => {
      const opened = await open(net);
      const { graph, value } = opened;
      await run(net, opened, keep);
      const found: unknown[] = [];
      for (const name of values.slice(2)) {
        const { dims } = await graph.shape(value(name));
        found.push(dims, await graph.loss({ kind: "sum", value: value(name) }));
        await graph.gradient([value(net.weights.at(-1)!), value(values[1]!)]);
        found.push(await graph.readGradient(value(values[1]!)));
      }
      await graph.dispose();
      return found;
    };
    expect(await perKeep("segments")).toEqual(await perKeep(true));
  });
});

describe("memory", () => {
  const peakOf = async (net: Net, keep: Keep, derive: (opened: Opened) => Promise<unknown>) => {
    const opened = await open(net);
    const { graph } = opened;
    await graph.loss(await run(net, opened, keep));
    const { live } = await graph.memory();
    await derive(opened);
    const { peak } = await graph.memory();
    await graph.dispose();
    return { live, peak };
  };
  const passes: Record<string, (opened: Opened) => Promise<unknown>> = {
    gradient: ({ graph, value }) => graph.gradient(residual.weights.map(value)),
    hessian: async ({ graph, value }) => {
      await graph.setSites({ weights: residual.weights.map(value), probes: 4 });
      return graph.hessian();
    },
    interactions: async ({ graph, value }) => {
      const data = randomFloats(9 * channels ** 2, 5);
      await graph.setErrors([{ value: value("stem.w"), data }]);
      await graph.aim([0, 0, 0, 0]);
      return graph.interactions();
    },
  };

  test.each(Object.keys(passes))("is a fraction after a run and during %s", async (name) => {
    const kept = await peakOf(residual, true, passes[name]!);
    const again = await peakOf(residual, "segments", passes[name]!);
    expect(again.live).toBeLessThan(0.5 * kept.live);
    expect(again.peak).toBeLessThan(0.6 * kept.peak);
  });

  test("that is too little for all random cotangents together takes them in parts, with the same results", async () => {
    const projections = async (memory: number, keep: Keep) => {
      const opened = await open(residual, { memory });
      const { graph, value, node } = opened;
      const loss = await run(residual, opened, keep);
      await graph.loss(loss);
      await graph.setErrors([
        ...residual.weights.map((name) => {
          const { dims } = residual.model.graph.initializer.find((tensor) => tensor.name === name)!;
          const count = dims.reduce((product, dim) => product * Number(dim), 1);
          return { value: value(name), data: randomFloats(count, 6) };
        }),
        ...residual.edges.map((edge) => ({
          node: node(edge.node),
          port: edge.port,
          grid: { scale: 0.1, zeroPoint: 0, qmin: -8, qmax: 7 },
        })),
      ]);
      await graph.memory();
      try {
        const found = await graph.project({ source: "fisher", probes: 7, seed: 3, firstSample: 0 });
        return { found, peak: (await graph.memory()).peak };
      } finally {
        await graph.dispose();
      }
    };
    const free = await projections(1e9, "segments");
    const memory = 0.7 * free.peak;
    await expect(projections(Math.floor(memory), true)).rejects.toMatchObject({ code: "out-of-memory" });
    const tight = await projections(Math.floor(memory), "segments");
    expect(tight.found).toEqual(free.found);
    expect(tight.peak).toBeLessThanOrEqual(memory);
  });

  test("that a refused pass says would do does", async () => {
    const attempt = async (memory: number) => {
      const opened = await open(residual, { memory });
      const { graph, value } = opened;
      try {
        await graph.loss(await run(residual, opened, "segments"));
        await graph.setSites({ weights: residual.weights.map(value), probes: 8 });
        return (await graph.hessian()).forms;
      } finally {
        await graph.dispose();
      }
    };
    const free = await attempt(1e9);
    const error = await attempt(150_000).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(BitwrightError);
    const [, kilobytes] = /^about (.*)kB$/.exec((error as BitwrightError).expected ?? "") ?? [];
    expect(await attempt(Number(kilobytes) * 1e3)).toEqual(free);
  });
});
