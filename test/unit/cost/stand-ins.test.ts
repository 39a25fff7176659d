import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Chain, type Excerpt, type Joint } from "../../../src/cost/chain.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { LayerChoice } from "../../../src/formats.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { readModelFile } from "../../../src/onnx/model-node.js";
import { everyValue } from "../../support/every-value.js";
import { buildModel } from "../../support/model-builder.js";
import { int64, randomFloats, randomTensor } from "../../support/tensors.js";
import { conv, gemm, mixedNetwork, unary } from "../export/networks.js";
import { observeRanges } from "../export/simulate.js";

// Sessions are opened by the dozen.
vi.setConfig({ testTimeout: 120_000 });

const float: LayerChoice = { weight: "float", activation: "float" };
const integer: LayerChoice = { weight: "int8", activation: "int8" };
const feeds = { x: randomTensor([1, 3, 16, 16], 1) };

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** What adding up times stands on: kernels, and conversions between them, add up. */
it.each([
  ["residual blocks", residualNetwork, [() => true, () => false]],
  ["every kind of joint", mixedNetwork, [() => true, () => false]],
  ["branches", branchingNetwork, [() => true, () => false, ...[1, 2, 3, 4, 5, 6].map(coin)]],
  ["blocks with normalization", normalizedNetwork, [() => true, () => false, ...[1, 2, 3, 4].map(coin)]],
  ["products", products, [() => true, () => false, ...[1, 2, 3, 4].map(coin)]],
  ["nodes and tensors that are called like stand-ins", namesakes, [() => true, () => false, coin(1)]],
])("lets the operators of parts, less what stands in, add up to those of the model: %s", async (_, build, patterns) => {
  const model = build();
  const { chain, parts, borders, joints, whole } = await excerpts(model);
  for (const isInteger of patterns) {
    const choices = new Map(chain.subject.layers.map(({ node }) => [node, isInteger() ? integer : float]));
    const choiceOf = (layer: string | undefined) => choices.get(layer ?? "") ?? float;
    const sources = (joint: Joint | undefined) =>
      joint?.standIns.map(({ source }) => [source, choiceOf(joint.giver)] as const) ?? [];
    const sinks = (joint: Joint | undefined) =>
      joint?.standIns.map(({ sink }) => [sink, choiceOf(joint.taker)] as const) ?? [];

    const sum = new Map<string, number>();
    for (const [i, { layers }] of chain.parts.entries()) {
      const own = layers.map((layer) => [layer, choiceOf(layer)] as const);
      const stand = [...sources(joints[i - 1]), ...sinks(joints[i])];
      await count(sum, 1, parts[i]!, new Map([...own, ...stand]));
    }
    for (const [i, joint] of joints.entries()) {
      await count(sum, -1, borders[i]!, new Map([...sources(joint), ...sinks(joint)]));
    }
    const expected = new Map<string, number>();
    await count(expected, 1, whole, choices);
    expect(Object.fromEntries([...sum].filter(([, times]) => times !== 0))).toEqual(Object.fromEntries(expected));
  }
});

function coin(seed: number): () => boolean {
  const numbers = randomFloats(100, seed).values();
  return () => numbers.next().value! > 0;
}

/** Counts the operators of the graph that onnxruntime makes of an excerpt. */
async function count(
  counts: Map<string, number>,
  times: number,
  excerpt: Excerpt,
  choices: ReadonlyMap<string, LayerChoice>,
): Promise<void> {
  const path = join(folder, "optimized.onnx");
  await (await openSession(excerpt.export(choices), { threads: 1 }, path)).release();
  const { graph } = await readModelFile(path);
  for (const { opType } of graph.node) counts.set(opType, (counts.get(opType) ?? 0) + times);
}

async function excerpts(model: OnnxModel) {
  const values = await everyValue(model, feeds);
  const ranges = await observeRanges(model, feeds);
  const chain = new Chain({ model, target: ortCpu, layers: ortCpu.layers(model), ranges });
  const joints = chain.parts.slice(1).map((after, i) => chain.joint(chain.parts[i]!, after, values));
  return {
    chain,
    joints,
    parts: chain.parts.map(({ nodes }, i) =>
      chain.excerpt(nodes, values, joints[i - 1]?.standIns, joints[i]?.standIns),
    ),
    borders: joints.map(({ standIns }) => chain.excerpt([], values, standIns, standIns)),
    whole: chain.excerpt(model.graph.node, values),
  };
}

function residualNetwork(): OnnxModel {
  const model = buildModel(17).input("x", ["N", 3, 16, 16]);
  let stream = unary(model, "Relu", "stem.relu", [conv(model, "stem", "x", [16, 3, 3])]);
  for (const name of ["one", "two", "three"]) {
    const first = unary(model, "Relu", `${name}.relu`, [conv(model, `${name}.a`, stream, [16, 16, 3])]);
    const sum = unary(model, "Add", `${name}.sum`, [conv(model, `${name}.b`, first, [16, 16, 3]), stream]);
    stream = unary(model, "Relu", `${name}.out`, [sum]);
  }
  return model.output(stream).build();
}

function branchingNetwork(): OnnxModel {
  const model = buildModel(17).input("x", ["N", 3, 16, 16]);
  let stream = unary(model, "Relu", "stem.relu", [conv(model, "stem", "x", [32, 3, 3])]);
  for (const name of ["one", "two"]) {
    const squeezed = unary(model, "Relu", `${name}.s`, [conv(model, `${name}.squeeze`, stream, [16, 32, 1])]);
    const left = unary(model, "Relu", `${name}.l`, [conv(model, `${name}.left`, squeezed, [16, 16, 1])]);
    const right = unary(model, "Relu", `${name}.r`, [conv(model, `${name}.right`, squeezed, [16, 16, 3])]);
    stream = unary(model, "Concat", `${name}.join`, [left, right], { axis: 1n });
  }
  return model.output(unary(model, "Relu", "last.relu", [conv(model, "last", stream, [16, 32, 1])])).build();
}

/** Sums that no integer layer reads directly, so they stay float whatever the layers before them run on. */
function normalizedNetwork(): OnnxModel {
  const model = buildModel(17)
    .input("x", ["N", 3, 16, 16])
    .constant("shape", int64([3], [1, 24, 32]))
    .constant("scale", randomTensor([32], 7))
    .constant("shift", randomTensor([32], 8));
  const product = (name: string, input: string, weights: readonly [number, number]) => {
    model.constant(`${name}.w`, randomTensor(weights, name.length, -0.2, 0.2));
    return unary(model, "MatMul", name, [input, `${name}.w`]);
  };
  let stream = product("embed", unary(model, "Reshape", "rows", ["x", "shape"]), [32, 32]);
  for (const name of ["one", "two"]) {
    const normalized = unary(model, "LayerNormalization", `${name}.norm`, [stream, "scale", "shift"]);
    const wide = unary(model, "Tanh", `${name}.act`, [product(`${name}.up`, normalized, [32, 64])]);
    stream = unary(model, "Add", `${name}.sum`, [product(`${name}.down`, wide, [64, 32]), stream]);
  }
  const last = unary(model, "LayerNormalization", "last.norm", [stream, "scale", "shift"]);
  return model.output(product("head", last, [32, 8])).build();
}

function products(): OnnxModel {
  const model = buildModel(17).input("x", ["N", 3, 16, 16]);
  let stream = unary(model, "Flatten", "flat", ["x"]);
  for (const [i, width] of [64, 32, 48, 16].entries()) {
    stream = unary(model, "Relu", `relu${i}`, [gemm(model, `fc${i}`, stream, width, [768, 64, 32, 48][i]!)]);
  }
  return model.output(stream).build();
}

/** Products that are called like what stands in for their neighbours. */
function namesakes(): OnnxModel {
  const model = buildModel(17).input("x", ["N", 3, 16, 16]);
  let stream = unary(model, "Flatten", "flat", ["x"]);
  for (const [i, name] of ["r0.y/sink", "r0.y/source", "r2.y/sink", "r2.y/source"].entries()) {
    stream = unary(model, "Relu", `r${i}`, [gemm(model, name, stream, 32, i === 0 ? 768 : 32)]);
  }
  return model.output(stream).build();
}
