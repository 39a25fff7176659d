import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportModel } from "../../../src/export/qdq.js";
import { openSession } from "../../../src/export/session-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { choiceKey, formats, type WeightFormat } from "../../../src/formats.js";
import { cleanModel } from "../../../src/onnx/clean/index.js";
import { writeModel } from "../../../src/onnx/model.js";
import { readModelFile } from "../../../src/onnx/model-node.js";
import type { TensorOf } from "../../../src/tensor.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { int64, randomTensor } from "../../support/tensors.js";
import { simulate } from "./simulate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const hidden = 24;
const inputs = 20;

function recurrence(op: string, gates: number, direction: string) {
  const directions = direction === "bidirectional" ? 2 : 1;
  return buildModel(17)
    .input("x", [5, 3, inputs])
    .constant("w", randomTensor([directions, gates * hidden, inputs], 1, -0.5, 0.5))
    .constant("r", randomTensor([directions, gates * hidden, hidden], 2, -0.5, 0.5))
    .constant("b", randomTensor([directions, 2 * gates * hidden], 3, -0.1, 0.1))
    .node(op, ["x", "w", "r", "b"], ["y", "h"], { hidden_size: BigInt(hidden), direction }, { name: "rnn" })
    .output("y")
    .output("h")
    .build();
}

const narrow: WeightFormat[] = ["fp16", "bf16", "int16", "fp8e4m3", "fp8e5m2", "int8", "int4"];
const feeds = { x: randomTensor([5, 3, inputs], 9) };

describe.each([
  ["RNN", 1, "forward"],
  ["GRU", 3, "bidirectional"],
  ["LSTM", 4, "reverse"],
])("%s", (op, gates, direction) => {
  const model = recurrence(op, gates, direction);

  it("has two layers, for the input and for the state", () => {
    const layers = ortCpu.layers(model);
    expect(layers.map(({ node, weight, group }) => [node, weight.initializer, weight.port, group])).toEqual([
      ["rnn", "w", 1, "w"],
      ["rnn:state", "r", 2, "r"],
    ]);
    for (const { choices, bias } of layers) {
      expect(bias).toBeUndefined();
      expect(choices.map(choiceKey)).toEqual(["float/float", ...narrow.map((format) => `${format}/float`)]);
    }
    const directions = direction === "bidirectional" ? 2 : 1;
    const rows = 5 * 3;
    const work = layers.map((layer) => layer.work.macsPerElement * rows * inputs);
    expect(work).toEqual([inputs, hidden].map((depth) => rows * directions * gates * hidden * depth));
  });

  it.each(narrow)("stores both weights as %s, which sessions make floats of at load", async (weight) => {
    const choice = { weight, activation: "float" } as const;
    const layout = ortCpu.layout(
      model,
      new Map([
        ["rnn", choice],
        ["rnn:state", choice],
      ]),
      new Map(),
    );
    const exported = exportModel(model, layout);
    const bytes = writeModel(exported);
    // Biases, scales and the nodes that make floats of it all come on top.
    expect(bytes.length).toBeLessThan((writeModel(model).length * formats[weight].bits) / 32 + 5000);
    const expected = await simulate(model, layout, feeds);
    const actual = await runOnnx(bytes, feeds, { optimization: "all" });
    for (const name of ["y", "h"]) {
      const floats = (await runOnnx(writeModel(model), feeds))[name] as TensorOf<"float32">;
      const [found, wanted] = [actual[name], expected.get(name)] as TensorOf<"float32">[];
      for (const [i, value] of found!.data.entries()) expect(value).toBeCloseTo(wanted!.data[i]!, 5);
      expect(found!.data).not.toEqual(floats.data);
    }
    const path = join(folder, `${op} ${weight}.onnx`);
    await (await openSession(bytes, {}, path)).release();
    expect((await readModelFile(path)).graph.node.map(({ opType }) => opType)).toEqual([op]);
  });

  it("lets the weights have formats of their own", async () => {
    const layout = ortCpu.layout(model, new Map([["rnn:state", { weight: "int8", activation: "float" }]]), new Map());
    const exported = exportModel(model, layout);
    expect(exported.graph.initializer.map(({ name }) => name)).toContain("w");
    expect(exported.graph.initializer.map(({ name }) => name)).not.toContain("r");
    const expected = (await simulate(model, layout, feeds)).get("h") as TensorOf<"float32">;
    const actual = (await runOnnx(writeModel(exported), feeds, { optimization: "all" })).h as TensorOf<"float32">;
    for (const [i, value] of actual.data.entries()) expect(value).toBeCloseTo(expected.data[i]!, 5);
  });
});

it("gives a node that is called like another one's state a name of its own", () => {
  const model = buildModel(17)
    .input("x", [5, 3, inputs])
    .constant("last", randomTensor([hidden, 4], 6));
  let stream = "x";
  for (const [i, name] of ["rnn", "rnn:state:state", "rnn:state"].entries()) {
    const width = i === 0 ? inputs : hidden;
    model
      .constant(`w${i}`, randomTensor([1, hidden, width], i))
      .constant(`r${i}`, randomTensor([1, hidden, hidden], i));
    model.node("RNN", [stream, `w${i}`, `r${i}`], [`y${i}`], { hidden_size: BigInt(hidden) }, { name });
    model.node("Squeeze", [`y${i}`, "axis"], [`s${i}`]);
    stream = `s${i}`;
  }
  model.constant("axis", int64([1], [1])).node("MatMul", [stream, "last"], ["y"], {}, { name: "rnn:state_1" });
  const { model: cleaned, changes } = cleanModel(model.output("y").build());
  const layers = ortCpu.layers(cleaned).map(({ node, weight }) => [node, weight?.initializer]);
  expect(Object.keys(Object.fromEntries(layers))).toHaveLength(7);
  expect(layers).toContainEqual(["rnn:state", "r0"]);
  expect(changes.map(({ explanation }) => explanation)).toContain(
    'renamed "rnn:state", as the state of "rnn" is called',
  );
});
