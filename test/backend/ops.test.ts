import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import { ops } from "../../src/backend/info.js";
import { encodeProgram } from "../../src/onnx/program.js";
import type { Tensor } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import type { ModelBuilder } from "../support/model-builder.js";
import { runOnnx } from "../support/onnxruntime.js";
import { directModel, isFloat, type OpCase, opCase, variables, weightModel } from "../support/op-samples.js";
import { float32, randomFloats } from "../support/tensors.js";

type Precision = "float32" | "float64";
type Reals = Float32Array | Float64Array;

const probes = 2;
const step = 1e-5;
const batch = float32([1, 1], [1]);

class Engine {
  private constructor(
    readonly graph: Graph,
    readonly tensors: readonly string[],
  ) {}

  static async with<T>(model: ModelBuilder, precision: Precision, work: (engine: Engine) => Promise<T>): Promise<T> {
    const { program, tensors } = encodeProgram(model.build());
    const graph = await Graph.create(backend, program, { precision });
    try {
      return await work(new Engine(graph, tensors));
    } finally {
      await graph.dispose();
    }
  }

  id(name: string): number {
    return this.tensors.indexOf(name);
  }

  run(feeds: Readonly<Record<string, Tensor>>): Promise<void> {
    const inputs = Object.entries(feeds).map(([name, tensor]) => [this.id(name), tensor] as const);
    return this.graph.run(new Map(inputs), { keep: true });
  }

  async reals(read: "read" | "readGradient", name: string): Promise<Reals> {
    return (await this.graph[read](this.id(name))).data as Reals;
  }
}

const zip = <T>(a: Reals, b: Reals, f: (x: number, y: number) => T): T[] => Array.from(a, (x, i) => f(x, b[i]!));
const dot = (a: Reals, b: Reals) => zip(a, b, (x, y) => x * y).reduce((sum, x) => sum + x, 0);
const sum = (values: readonly number[]) => values.reduce((total, x) => total + x, 0);

function expectClose(received: Reals, expected: Reals, tolerance: number): void {
  expect(received.length).toBe(expected.length);
  const scale = Math.max(1, ...Array.from(expected, Math.abs));
  const worst = Math.max(0, ...zip(received, expected, (x, y) => (Object.is(x, y) ? 0 : Math.abs(x - y) / scale)));
  expect(worst).toBeLessThanOrEqual(tolerance);
}

/** Feeds of the node's own graph inputs, with the variables moved by `amount` times a direction each. */
function feedsOf(op: OpCase, directions: Readonly<Record<string, Float32Array>> = {}, amount = 0) {
  const entries = op.inputs.flatMap((input) => {
    if (input === null || input.constant) return [];
    const direction = directions[input.name];
    if (direction === undefined) return [[input.name, input.tensor] as const];
    const data = Float64Array.from(input.tensor.data as Float32Array, (x, i) => x + amount * direction[i]!);
    return [[input.name, { dtype: "float64", dims: input.tensor.dims, data } as Tensor] as const];
  });
  return Object.fromEntries(entries);
}

const randomDirections = (op: OpCase, seed: number) =>
  Object.fromEntries(variables(op).map(({ name, tensor }, i) => [name, randomFloats(tensor.data.length, seed + i)]));

/** Everything that derivatives give along `probes` directions, taken of weights: what the two precisions are compared by. */
interface Derivatives {
  readonly values: Reals;
  readonly tangents: Reals[];
  readonly gradients: Record<string, Float64Array>;
  readonly products: Record<string, Float64Array>[];
}

function derivatives(op: OpCase, output: string, cotangent: Float32Array, precision: Precision): Promise<Derivatives> {
  const names = variables(op).map(({ name }) => name);
  return Engine.with(weightModel(op), precision, async (engine) => {
    const { graph } = engine;
    const weights = names.map((name) => engine.id(`w_${name}`));
    const each = async <T>(f: (weight: number) => Promise<T>): Promise<Record<string, T>> =>
      Object.fromEntries(await Promise.all(names.map(async (name, i) => [name, await f(weights[i]!)])));
    await engine.run({ batch, ...integerFeeds(op) });
    const values = await engine.reals("read", output);
    await graph.loss({ kind: "linear", value: engine.id(output), target: cotangent });
    await graph.gradient(weights);
    const gradients = await each((weight) => graph.readWeightGradient(weight));
    await graph.setSites({ weights, probes });
    for (let p = 0; p < probes; p++) {
      const directions = randomDirections(op, 100 * (p + 1));
      for (const [site, name] of names.entries()) await graph.setDirection(site, p, directions[name]);
    }
    await graph.tangent();
    const tangents: Reals[] = [];
    for (let p = 0; p < probes; p++) tangents.push((await graph.readTangent(engine.id(output), p)).data as Reals);
    await graph.loss({ kind: "linear", value: engine.id(output), target: cotangent });
    const { forms } = await graph.hessian({ products: true });
    const products: Record<string, Float64Array>[] = [];
    for (let p = 0; p < probes; p++) products.push(await each((weight) => graph.readProduct(weight, p)));
    for (let p = 0; p < probes; p++) {
      const directions = randomDirections(op, 100 * (p + 1));
      const expected = names.map((name) => dot(directions[name]!, products[p]![name]!));
      const received = forms.subarray(p * names.length, (p + 1) * names.length);
      expectClose(received, Float64Array.from(expected), precision === "float64" ? 1e-10 : 1e-4);
    }
    return { values, tangents, gradients, products };
  });
}

const integerFeeds = (op: OpCase) =>
  Object.fromEntries(Object.entries(feedsOf(op)).filter(([, tensor]) => !isFloat(tensor)));

/** The gradient of <cotangent, output> in the variables, at the sample's point moved along directions. */
async function gradientAt(
  engine: Engine,
  op: OpCase,
  output: string,
  cotangent: Float32Array,
  directions: Readonly<Record<string, Float32Array>>,
  amount: number,
): Promise<Record<string, Reals>> {
  const names = variables(op).map(({ name }) => name);
  await engine.run({ batch, ...feedsOf(op, directions, amount) });
  await engine.graph.loss({ kind: "linear", value: engine.id(output), target: cotangent });
  await engine.graph.gradient(names.map((name) => engine.id(name)));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await engine.reals("readGradient", name)])),
  );
}

const difference = (above: Reals, below: Reals) => Float64Array.from(zip(above, below, (a, b) => (a - b) / (2 * step)));

async function checkForward(op: OpCase): Promise<void> {
  const model = directModel(op, false);
  const feeds = feedsOf(op);
  const expected = await runOnnx(model.bytes(), feeds);
  await Engine.with(model, "float32", async (engine) => {
    await engine.graph.run(new Map(Object.entries(feeds).map(([name, tensor]) => [engine.id(name), tensor])));
    for (const output of op.outputs) {
      const received = await engine.graph.read(engine.id(output));
      const wanted = expected[output]!;
      expect({ dtype: received.dtype, dims: received.dims }).toEqual({ dtype: wanted.dtype, dims: wanted.dims });
      if (isFloat(received)) expectClose(received.data as Reals, wanted.data as Reals, 1e-5);
      else expect(received.data).toEqual(wanted.data);
    }
  });
}

async function checkDerivatives(op: OpCase, output: string): Promise<void> {
  const names = variables(op).map(({ name }) => name);
  await Engine.with(directModel(op, true), "float64", async (engine) => {
    await engine.run({ batch, ...feedsOf(op) });
    const size = (await engine.reals("read", output)).length;
    const cotangent = randomFloats(size, 7);
    const exact = await derivatives(op, output, cotangent, "float64");
    const gradients = await gradientAt(engine, op, output, cotangent, {}, 0);
    for (const name of names) expectClose(exact.gradients[name]!, gradients[name]!, 1e-12);

    for (let p = 0; p < probes; p++) {
      const directions = randomDirections(op, 100 * (p + 1));
      const valueAt = async (amount: number) => {
        await engine.run({ batch, ...feedsOf(op, directions, amount) });
        return engine.reals("read", output);
      };
      expectClose(exact.tangents[p]!, difference(await valueAt(step), await valueAt(-step)), 1e-6);
      // <g, J t> == <J^T g, t>
      const along = dot(cotangent, exact.tangents[p]!);
      const back = sum(names.map((name) => dot(gradients[name]!, directions[name]!)));
      expect(Math.abs(along - back)).toBeLessThanOrEqual(1e-12 * size * Math.max(1, Math.abs(along)));

      const above = await gradientAt(engine, op, output, cotangent, directions, step);
      const below = await gradientAt(engine, op, output, cotangent, directions, -step);
      for (const name of names) expectClose(exact.products[p]![name]!, difference(above[name]!, below[name]!), 1e-6);
    }
    const [v, u] = [randomDirections(op, 100), randomDirections(op, 200)];
    const uHv = sum(names.map((name) => dot(u[name]!, exact.products[0]![name]!)));
    const vHu = sum(names.map((name) => dot(v[name]!, exact.products[1]![name]!)));
    expect(Math.abs(uHv - vHu)).toBeLessThanOrEqual(1e-10 * Math.max(1, Math.abs(uHv)));

    const single = await derivatives(op, output, cotangent, "float32");
    expectClose(single.values, exact.values, 1e-4);
    for (const [p, tangent] of single.tangents.entries()) expectClose(tangent, exact.tangents[p]!, 1e-4);
    for (const name of names) {
      expectClose(single.gradients[name]!, exact.gradients[name]!, 1e-4);
      for (let p = 0; p < probes; p++) expectClose(single.products[p]![name]!, exact.products[p]![name]!, 1e-4);
    }
  });
}

/** Each variable in turn as an initializer that the node reads: its gradient, summed in double, is that of an activation. */
async function checkParameters(op: OpCase, output: string): Promise<void> {
  for (const { name } of variables(op)) {
    const constant = { ...op, inputs: op.inputs.map((x) => (x?.name === name ? { ...x, constant: true } : x)) };
    const [cotangent, expected] = await Engine.with(directModel(op, true), "float64", async (engine) => {
      await engine.run({ batch, ...feedsOf(op) });
      const target = randomFloats((await engine.reals("read", output)).length, 7);
      return [target, await gradientAt(engine, op, output, target, {}, 0)] as const;
    });
    await Engine.with(directModel(constant, true), "float64", async (engine) => {
      await engine.run({ batch, ...feedsOf(constant) });
      await engine.graph.loss({ kind: "linear", value: engine.id(output), target: cotangent });
      await engine.graph.gradient([engine.id(name)]);
      expectClose(await engine.graph.readWeightGradient(engine.id(name)), expected[name]!, 1e-12);
    });
  }
}

async function checkNoDerivative(op: OpCase, output: string): Promise<void> {
  await Engine.with(directModel(op, true), "float32", async (engine) => {
    const [node] = await engine.graph.describe();
    expect(node!.differentiable).toBe(false);
    await engine.run({ batch, ...feedsOf(op) });
    const value = await engine.graph.read(engine.id(output));
    if (!isFloat(value) || variables(op).length === 0) return;
    await engine.graph.loss({ kind: "linear", value: engine.id(output), target: value.data as Float32Array });
    await expect(engine.graph.gradient([engine.id(variables(op)[0]!.name)])).rejects.toMatchObject({
      code: "unsupported-op",
    });
  });
}

/** Outputs that are floats and have elements. */
async function differentiableOutputs(op: OpCase): Promise<string[]> {
  return Engine.with(directModel(op, true), "float32", async (engine) => {
    await engine.run({ batch, ...feedsOf(op) });
    const values = await Promise.all(op.outputs.map((output) => engine.graph.read(engine.id(output))));
    return op.outputs.filter((_, i) => isFloat(values[i]!) && values[i]!.data.length > 0);
  });
}

describe.each(ops(backend).map((row) => ({ ...row, name: `${row.type} since ${row.since}` })))("$name", (row) => {
  test("has samples", () => expect(row.samples.length).toBeGreaterThan(0));

  describe.each(row.samples.map((_, i) => opCase(row, i)))("$title", (op) => {
    test("computes what onnxruntime computes", () => checkForward(op));

    if (!row.differentiable) test("has no derivative", () => checkNoDerivative(op, op.outputs[0]!));
    else if (variables(op).length > 0) {
      test("has exact first and second derivatives", async () => {
        for (const output of await differentiableOutputs(op)) await checkDerivatives(op, output);
      });
      if (op.inputs.filter((input) => input !== null && !input.constant).length > 1) {
        test("sums the gradients of initializers", async () => {
          for (const output of await differentiableOutputs(op)) await checkParameters(op, output);
        });
      }
    }
  });
});
