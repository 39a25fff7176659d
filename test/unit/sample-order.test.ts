import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.js";
import { datasetFrom } from "../../src/data/from-feeds.js";
import { resolveOptions } from "../../src/options.js";
import { elementCount, type Feeds, type Tensor } from "../../src/tensor.js";
import { openWorkspace } from "../../src/workspace.js";
import { backend } from "../support/backends.js";
import { buildModel, type ModelBuilder } from "../support/model-builder.js";
import { float32, randomTensor } from "../support/tensors.js";

const steps = 6;
const width = 4;
const x = randomTensor([12, steps, width], 1);

const net = () =>
  buildModel(17)
    .input("x", ["N", steps, width])
    .constant("w", randomTensor([width, width], 2))
    .constant("v", randomTensor([width, 2], 3));

/** Steps first: the first axis is a multiple of three samples, and holds none. */
const stepsFirst = () =>
  net()
    .node("Transpose", ["x"], ["t"], { perm: [1n, 0n, 2n] })
    .node("MatMul", ["t", "w"], ["a"], {}, { name: "first" })
    .node("Tanh", ["a"], ["b"])
    .node("Transpose", ["b"], ["c"], { perm: [1n, 0n, 2n] })
    .node("MatMul", ["c", "v"], ["y"], {}, { name: "second" })
    .output("y");

const samplesFirst = () =>
  net()
    .node("MatMul", ["x", "w"], ["a"], {}, { name: "first" })
    .node("Tanh", ["a"], ["c"])
    .node("MatMul", ["c", "v"], ["y"], {}, { name: "second" })
    .output("y");

/** Every sample becomes several rows, one after the other or turn by turn. */
const rows = (perm: readonly bigint[]) =>
  net()
    .constant("rows", { dtype: "int64", dims: [2], data: BigInt64Array.of(-1n, BigInt(width)) })
    .node("Transpose", ["x"], ["t"], { perm })
    .node("Reshape", ["t", "rows"], ["r"])
    .node("MatMul", ["r", "w"], ["y"], {}, { name: "first" })
    .output("y");

/** What is read is centred over the batch. */
const mixed = () =>
  net()
    .node("ReduceMean", ["x"], ["m"], { axes: [0n], keepdims: 1n })
    .node("Sub", ["x", "m"], ["d"])
    .node("Transpose", ["d"], ["t"], { perm: [1n, 0n, 2n] })
    .node("MatMul", ["t", "w"], ["y"], {}, { name: "first" })
    .output("y");

const recurrent = (turned: boolean) =>
  net()
    .constant("wi", randomTensor([1, 3 * width, width], 4))
    .constant("wr", randomTensor([1, 3 * width, width], 5))
    .node("Transpose", ["x"], ["t"], { perm: turned ? [1n, 0n, 2n] : [0n, 1n, 2n] })
    .node("GRU", ["t", "wi", "wr"], ["", "h"], { hidden_size: BigInt(width) }, { name: "gru" })
    .constant("first", { dtype: "int64", dims: [1], data: BigInt64Array.of(0n) })
    .node("Squeeze", ["h", "first"], ["s"])
    .node("MatMul", ["s", "v"], ["y"], {}, { name: "last" })
    .output("y");

/** A table of positions, whose rows every sample adds. */
const withPositions = () =>
  buildModel(17)
    .input("x", ["N", "T", width])
    .constant("w", randomTensor([width, width], 2))
    .constant("positions", randomTensor([1000, width], 4))
    .constant("start", { dtype: "int64", dims: [1], data: BigInt64Array.of(0n) })
    .node("Shape", ["x"], ["end"], { start: 1n, end: 2n })
    .node("Slice", ["positions", "start", "end", "start"], ["p"], {}, { name: "positions" })
    .node("Add", ["x", "p"], ["s"])
    .node("MatMul", ["s", "w"], ["y"], {}, { name: "first" })
    .output("y");

/** The state, which has its samples second, is the first input. */
const stateful = () =>
  buildModel(17)
    .input("k", [3, 2])
    .input("s", [2, "N", width])
    .input("x", ["N", steps, width])
    .constant("zero", { dtype: "int64", dims: [], data: BigInt64Array.of(0n) })
    .constant("w", randomTensor([width, 2], 2))
    .node("Gather", ["s", "zero"], ["h"], { axis: 0n })
    .node("ReduceMean", ["x"], ["m"], { axes: [1n], keepdims: 0n })
    .node("Add", ["m", "h"], ["a"])
    .node("MatMul", ["a", "w"], ["b"], {}, { name: "last" })
    .node("ReduceSum", ["k"], ["c"], { keepdims: 0n })
    .node("Add", ["b", "c"], ["y"])
    .output("y");

async function batchOf(model: ModelBuilder, batchSize = 8): Promise<number> {
  const dataset = await datasetFrom({ x }, { splits: { calibration: [0, 6], search: [6, 12] } });
  await using workspace = await openWorkspace(backend, model.build(), dataset, resolveOptions({ batchSize }));
  return await workspace.samplesAtOnce(workspace.dataset);
}

describe("samples whose derivatives are told apart share batches", () => {
  it("where layers read them one after the other", async () => {
    expect(await batchOf(samplesFirst())).toBe(8);
    expect(await batchOf(rows([0n, 1n, 2n]))).toBe(8);
  });

  it("but not where they lie otherwise, whatever the shapes allow", async () => {
    expect(await batchOf(stepsFirst())).toBe(1);
    expect(await batchOf(rows([1n, 0n, 2n]))).toBe(1);
    expect(await batchOf(mixed())).toBe(1);
  });

  it("nor where all of them read the same rows of a table, which only tells what they do to it together", async () => {
    expect(await batchOf(withPositions())).toBe(1);
  });

  it("along the second axis of what recurrent layers read", async () => {
    expect(await batchOf(recurrent(true))).toBe(8);
    expect(await batchOf(recurrent(false))).toBe(1);
  });
});

/** Projections of one error on each sample's gradient, in batches of a size. */
async function projections(dataset: Dataset, batchSize: number): Promise<number[]> {
  await using workspace = await openWorkspace(backend, stateful().build(), dataset, resolveOptions({}));
  const { engine } = workspace;
  const found: number[] = [];
  for await (const { feeds } of workspace.dataset.batches("search", batchSize)) {
    await engine.run(feeds, { keep: true });
    const { data } = await engine.read("y");
    const target = Float32Array.from(data as Float32Array, (value) => value + 1);
    await engine.graph.loss({ kind: "squared-error", value: engine.value("y"), target });
    await engine.graph.setErrors([{ value: engine.value("w"), data: new Float32Array(2 * width).fill(0.1) }]);
    found.push(...(await engine.graph.project({ source: "loss" })).values);
  }
  return found;
}

it("counts samples where they are, whichever input comes first", async () => {
  const fed = (values: Tensor, batchAxis: number | undefined) => ({ values, batchAxis });
  const inputs = {
    k: fed(randomTensor([3, 2], 7), undefined),
    s: fed(randomTensor([2, 12, width], 8), 1),
    x: fed(x, 0),
  };
  const base = await datasetFrom({ x }, { splits: { calibration: [0, 6], search: [6, 12] } });
  const pick = ({ dims, data }: Tensor, axis: number, indices: Uint32Array): Tensor => {
    const inner = elementCount(dims.slice(axis + 1));
    const outer = elementCount(dims.slice(0, axis));
    const parts = Array.from({ length: outer }, (_, o) =>
      Array.from(indices, (n) => [
        ...(data as Float32Array).subarray((o * dims[axis]! + n) * inner, (o * dims[axis]! + n + 1) * inner),
      ]),
    );
    return float32(dims.with(axis, indices.length), parts.flat(2));
  };
  const dataset: Dataset = {
    ...base,
    inputs: Object.entries(inputs).map(([name, { values, batchAxis }]) => ({
      name,
      dtype: "float32",
      dims: values.dims.map((dim, axis) => (axis === batchAxis ? null : dim)),
      batchAxis,
    })),
    async *batches(selection, batchSize, options) {
      for await (const { indices } of base.batches(selection, batchSize, options)) {
        const feeds = Object.entries(inputs).map(([name, { values, batchAxis }]) => [
          name,
          batchAxis === undefined ? values : pick(values, batchAxis, indices),
        ]);
        yield { indices, feeds: Object.fromEntries(feeds) as Feeds };
      }
    },
  };
  const together = await projections(dataset, 6);
  expect(together).toHaveLength(6);
  const alone = await projections(dataset, 1);
  for (const [n, value] of together.entries()) expect(value).toBeCloseTo(alone[n]!, 6);
});
