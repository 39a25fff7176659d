import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { exportModel } from "../../../src/export/qdq.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { LayerChoice } from "../../../src/formats.js";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  StringStringEntryProtoSchema,
} from "../../../src/onnx/generated/onnx_pb.js";
import { type OnnxModel, readModel, writeModel } from "../../../src/onnx/model.js";
import { makeNode } from "../../../src/onnx/node.js";
import type { Feeds, Tensor } from "../../../src/tensor.js";
import { buildModel, valueInfo } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, randomTensor, scalar } from "../../support/tensors.js";
import { conv, gemm, mixedNetwork, unary } from "./networks.js";
import { observeRanges, simulate } from "./simulate.js";

const integer: LayerChoice = { weight: "int8", activation: "int8" };
const float: LayerChoice = { weight: "float", activation: "float" };

function allInteger(model: OnnxModel): Map<string, LayerChoice> {
  const choiceOf = (choices: readonly LayerChoice[]) =>
    choices.some((c) => c.activation === "int8") ? integer : float;
  return new Map(ortCpu.layers(model).map(({ node, choices }) => [node, choiceOf(choices)]));
}

async function layoutAndOutputs(model: OnnxModel, feeds: Feeds, plan: ReadonlyMap<string, LayerChoice>) {
  const layout = ortCpu.layout(model, plan, await observeRanges(model, feeds), { reduceRange: true });
  const exported = exportModel(model, layout);
  return {
    layout,
    exported,
    outputs: await runOnnx(writeModel(exported), feeds, { optimization: "all" }),
    simulated: await simulate(model, layout, feeds),
  };
}

function largestDifference(a: Tensor, b: Tensor): number {
  return (a.data as Float32Array).reduce((most, value, i) => Math.max(most, Math.abs(value - Number(b.data[i]))), 0);
}

function plan(entries: Readonly<Record<string, LayerChoice>>): Map<string, LayerChoice> {
  return new Map(Object.entries(entries));
}

const image = { x: randomTensor([2, 3, 6, 6], 1, -2, 2) };

describe("what the edges of a layout say", () => {
  it("quantizes behind a Clip that codes can replace, before one that they cannot", async () => {
    for (const [low, high, tensor] of [
      [0, 6, "clip.y"],
      [-1, 1, "first.y"],
      [0.5, 2, "first.y"],
    ] as const) {
      const model = buildModel(17)
        .input("x", ["N", 3, 6, 6])
        .constant("low", scalar(low))
        .constant("high", scalar(high));
      const clipped = unary(model, "Clip", "clip", [conv(model, "first", "x", [4, 3, 3]), "low", "high"]);
      const built = model.output(conv(model, "second", clipped, [4, 4, 1])).build();
      const { layout, outputs, simulated } = await layoutAndOutputs(built, image, allInteger(built));
      expect(layout.edges.some((edge) => edge.tensor === tensor && edge.node !== undefined)).toBe(true);
      expect(largestDifference(outputs["second.y"]!, simulated.get("second.y")!)).toBeLessThan(0.05);
    }
  });

  it("leaves a float tensor float for float readers", async () => {
    const model = buildModel(17).input("x", ["N", 3, 6, 6]);
    const first = conv(model, "first", "x", [4, 3, 3]);
    const left = conv(model, "left", first, [4, 4, 1]);
    const right = conv(model, "right", first, [4, 4, 1]);
    const built = model.output(left).output(right).build();
    const { layout } = await layoutAndOutputs(built, image, plan({ left: integer }));
    expect(layout.edges.filter(({ tensor }) => tensor === first).map(({ node }) => node)).toEqual(["left"]);
  });

  it("lets every reader of a tensor that exists only as codes read codes, outputs of the graph too", async () => {
    const model = buildModel(17).input("x", ["N", 3, 6, 6]);
    const first = conv(model, "first", "x", [4, 3, 3]);
    const second = conv(model, "second", first, [4, 4, 1]);
    model.node("Neg", [first], ["negative"], {}, { name: "neg" });
    const built = model.output(first).output(second).output("negative").build();
    const { layout, outputs, simulated, exported } = await layoutAndOutputs(built, image, plan({ first: integer }));
    const readers = layout.edges.filter(({ tensor }) => tensor === first).map(({ node, port }) => `${node} ${port}`);
    expect(readers.toSorted()).toEqual(["neg 0", "second 0", "undefined 0"]);
    expect(exported.graph.output.map(({ name }) => name)).toEqual([first, second, "negative"]);
    for (const name of Object.keys(outputs)) {
      expect(largestDifference(outputs[name]!, simulated.get(name)!)).toBeLessThan(0.05);
    }
  });

  it("does not quantize the result of a product that float operators read", async () => {
    const model = buildModel(17).input("x", ["N", 8]);
    const first = gemm(model, "first", "x", 6, 8);
    const built = model.output(unary(model, "Softmax", "softmax", [first])).build();
    const feeds = { x: randomTensor([4, 8], 2) };
    const { layout, outputs, simulated } = await layoutAndOutputs(built, feeds, allInteger(built));
    expect(layout.edges.map(({ tensor }) => tensor)).toEqual(["x"]);
    expect(largestDifference(outputs["softmax.y"]!, simulated.get("softmax.y")!)).toBeLessThan(1e-5);
  });

  it.each([[[4, 8]], [[2, 3, 8]]])("handles MatMul and Add on %j", async (dims) => {
    const model = buildModel(17)
      .input("x", dims)
      .constant("w", randomTensor([8, 5], 3))
      .constant("b", randomTensor([5], 4))
      .node("MatMul", ["x", "w"], ["p"], {}, { name: "product" })
      .node("Add", ["p", "b"], ["y"], {}, { name: "bias" })
      .output("y");
    const built = model.build();
    const { layout, outputs, simulated } = await layoutAndOutputs(
      built,
      { x: randomTensor(dims, 5) },
      allInteger(built),
    );
    expect(layout.biases).toMatchObject([{ node: "bias", port: 1 }]);
    expect(largestDifference(outputs.y!, simulated.get("y")!)).toBeLessThan(1e-5);
  });

  it("keeps a layer float whose result a subgraph reads", () => {
    const branch = (name: string, opType: string) =>
      create(GraphProtoSchema, {
        name,
        node: [makeNode({ opType, name, inputs: ["first.y"], outputs: [`${name}.y`] })],
        output: [valueInfo(`${name}.y`, undefined, "float32")],
      });
    const model = buildModel(17).input("x", ["N", 3, 6, 6]).input("condition", [], "bool");
    conv(model, "first", "x", [4, 3, 3]);
    const choose = makeNode({ opType: "If", name: "if", inputs: ["condition"], outputs: ["y"] });
    for (const [name, graph] of [
      ["then_branch", branch("then", "Neg")],
      ["else_branch", branch("else", "Abs")],
    ] as const) {
      choose.attribute.push(create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g: graph }));
    }
    const built = model.add(choose).output("y").build();
    expect(ortCpu.layers(built)[0]!.choices.every(({ activation }) => activation === "float")).toBe(true);
  });

  it("never asks for a range that was not said to be observed", async () => {
    const model = mixedNetwork();
    const all = await observeRanges(model, { x: randomTensor([2, 3, 16, 16], 1) });
    const observed = new Set(ortCpu.observedTensors(model));
    const ranges = new Map([...all].filter(([name]) => observed.has(name)));
    const layers = ortCpu.layers(model);
    for (const skipped of layers) {
      const choices = new Map(layers.map(({ node }) => [node, node === skipped.node ? float : integer]));
      expect(() => ortCpu.layout(model, choices, ranges)).not.toThrow();
    }
  });
});

describe("weights and biases", () => {
  it("keep the bias of a channel whose weights are all zero, or tiny", async () => {
    const weight = randomTensor([3, 3, 1, 1], 1);
    (weight.data as Float32Array).fill(0, 0, 3);
    for (let i = 3; i < 6; i++) weight.data[i] = Number(weight.data[i]) * 1e-9;
    const model = buildModel(17)
      .input("x", ["N", 3, 6, 6])
      .constant("w", weight)
      .constant("b", float32([3], [1.2345, -2.5, 0.5]))
      .node("Conv", ["x", "w", "b"], ["y"], {}, { name: "c" })
      .output("y");
    const built = model.build();
    const { outputs, layout } = await layoutAndOutputs(built, image, allInteger(built));
    const exact = (await runOnnx(writeModel(built), image)).y!;
    const step = layout.edges.find(({ node }) => node === undefined)!.quantizer.scales[0]!;
    expect(largestDifference(outputs.y!, exact)).toBeLessThan(0.6 * step + 0.05);
    for (let i = 0; i < 72; i++) {
      const channel = Math.floor(i / 36);
      expect(Math.abs(Number(outputs.y!.data[i]) - [1.2345, -2.5][channel]!)).toBeLessThan(0.51 * step);
    }
  });

  it("are stored once when layers share them", async () => {
    const model = buildModel(17)
      .input("x", ["N", 4, 6, 6])
      .constant("w", randomTensor([4, 4, 1, 1], 1))
      .node("Conv", ["x", "w"], ["m"], {}, { name: "first" })
      .node("Conv", ["m", "w"], ["y"], {}, { name: "second" })
      .output("y");
    const built = model.build();
    expect(ortCpu.layers(built).map(({ group }) => group)).toEqual(["w", "w"]);
    const { exported } = await layoutAndOutputs(built, { x: randomTensor([1, 4, 6, 6], 2) }, allInteger(built));
    expect(exported.graph.initializer.filter(({ name }) => name.startsWith("w"))).toHaveLength(1);
  });

  it("use 7 bits of int8 where integer kernels may multiply it when the range is reduced", async () => {
    const model = mixedNetwork();
    const ranges = await observeRanges(model, { x: randomTensor([1, 3, 16, 16], 1) });
    const planned = ortCpu.layers(model);
    const mayBeInteger = new Set(allInteger(model).keys());
    const limits = (weight: "int4" | "int8", activation: "int8" | "float") => {
      const choices = planned
        .filter(({ node }) => activation === "float" || mayBeInteger.has(node))
        .map(({ node }) => [node, { weight, activation }] as const);
      const { weights } = ortCpu.layout(model, new Map(choices), ranges, { reduceRange: true });
      return new Map(weights.map(({ node, quantizer }) => [node, quantizer.qmax]));
    };
    for (const [node, limit] of [...limits("int8", "int8"), ...limits("int8", "float")]) {
      expect(limit).toBe(mayBeInteger.has(node) ? 64 : 127);
    }
    for (const [, limit] of limits("int4", "float")) expect(limit).toBe(7);
  });

  it("keep what they were rounded to when the range is reduced", async () => {
    const model = mixedNetwork();
    const ranges = await observeRanges(model, { x: randomTensor([1, 3, 16, 16], 1) });
    for (const weight of ["int4", "int8"] as const) {
      const choices = new Map([["stem", { weight, activation: "int8" } as const]]);
      const layout = ortCpu.layout(model, choices, ranges, {
        reduceRange: true,
        roundedWeights: ({ weight: { dims, channels } }) => ({
          scales: new Float32Array(channels).fill(0.5),
          values: new Float32Array(dims.reduce((count, size) => count * size)).fill(0.5),
        }),
      });
      expect(new Set(layout.weights[0]!.values)).toEqual(new Set([0.5]));
    }
  });

  it.each([
    ["as they are", 0, [3]],
    ["rounded again where a bias makes scales larger", 1e9, [0]],
  ] as const)("are written as the codes that they were rounded to, %s", (_, bias, codes) => {
    const stored = { dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
    const model = buildModel(17)
      .input("x", [1, 2])
      .constant("w", float32(stored.dims, stored.data))
      .constant("b", float32([2], Float32Array.of(bias, bias)))
      .node("Gemm", ["x", "w", "b"], ["y"], {}, { name: "layer" })
      .output("y", [1, 2])
      .build();
    const ranges = new Map([
      ["x", { min: 0, max: 1 }],
      ["y", { min: 0, max: 1 }],
    ]);
    const layout = ortCpu.layout(model, plan({ layer: integer }), ranges, {
      roundedWeights: () => ({
        scales: Float32Array.of(0.5, 0.5),
        values: new Float32Array(4).fill(1.5),
        codes: new Int8Array(4).fill(3),
      }),
    });
    const written = readModel(writeModel(exportModel(model, layout)));
    const weight = written.graph.initializer.find(({ name }) => name === "w_int8")!;
    expect(new Set(new Int8Array(weight.rawData))).toEqual(new Set(codes));
  });

  it("take scales from the caller", async () => {
    const model = mixedNetwork();
    const ranges = await observeRanges(model, { x: randomTensor([1, 3, 16, 16], 1) });
    const asked: string[] = [];
    const layout = ortCpu.layout(model, plan({ stem: integer }), ranges, {
      weightScales: ({ layer, limit }) => {
        asked.push(`${layer.node} ${limit}`);
        return new Float32Array(layer.weight.channels).fill(0.125);
      },
    });
    expect(asked).toEqual(["stem 127"]);
    expect([...new Set(layout.weights[0]!.quantizer.scales)]).toEqual([0.125]);
  });
});

describe("an exported model", () => {
  it("leaves the float model alone and keeps what it does not know", async () => {
    const model = mixedNetwork();
    model.proto.metadataProps.push(create(StringStringEntryProtoSchema, { key: "author", value: "somebody" }));
    model.proto.producerName = "exporter";
    const before = writeModel(model);
    const { exported } = await layoutAndOutputs(model, { x: randomTensor([1, 3, 16, 16], 1) }, allInteger(model));
    expect(writeModel(model)).toEqual(before);
    const back = readModel(writeModel(exported));
    expect(back.proto.producerName).toBe("exporter");
    expect(back.proto.metadataProps).toMatchObject([{ key: "author", value: "somebody" }]);
    expect(back.graph.input).toEqual(model.graph.input);
    expect(back.graph.output).toEqual(model.graph.output);
  });

  it("imports the operator set that 4-bit weights need, and no later one otherwise", async () => {
    const model = mixedNetwork();
    const ranges = await observeRanges(model, { x: randomTensor([1, 3, 16, 16], 1) });
    const opsetWith = (choice: LayerChoice) => {
      const { proto } = exportModel(model, ortCpu.layout(model, plan({ stem: choice }), ranges));
      return Number(proto.opsetImport[0]!.version);
    };
    expect(opsetWith(integer)).toBe(17);
    expect(opsetWith({ weight: "int4", activation: "int8" })).toBe(21);
  });
});

describe("refusals", () => {
  const model = mixedNetwork();
  const invalid = expect.objectContaining({ code: "invalid-option" });

  it("names a range that is missing", () => {
    expect(() => ortCpu.layout(model, plan({ stem: integer }), new Map())).toThrow(/range of tensor "x" is missing/);
  });

  it("names a layer that the model does not have", () => {
    expect(() => ortCpu.layout(model, plan({ nobody: integer }), new Map())).toThrow(/no layer "nobody"/);
  });

  it("does not put a transposed convolution on an integer kernel", () => {
    const transposed = buildModel(17)
      .input("x", [1, 2, 4, 4])
      .constant("w", randomTensor([2, 2, 2, 2], 1))
      .node("ConvTranspose", ["x", "w"], ["y"], {}, { name: "up" })
      .output("y")
      .build();
    expect(ortCpu.layers(transposed)[0]!.choices.every(({ activation }) => activation === "float")).toBe(true);
    expect(() => ortCpu.layout(transposed, plan({ up: integer }), new Map())).toThrow(invalid);
  });

  it.each([Float32Array.of(1), new Float32Array(16).fill(Number.NaN), new Float32Array(16).fill(-1)])(
    "does not take scales %s",
    (scales) => {
      const ranges = new Map(["x", "stem.relu.y"].map((name) => [name, { min: 0, max: 1 }]));
      const layout = () => ortCpu.layout(model, plan({ stem: integer }), ranges, { weightScales: () => scales });
      expect(layout).toThrow(invalid);
    },
  );
});

it("makes quantizers that no options decide once, however often a model is laid out", () => {
  const model = mixedNetwork();
  for (const weight of ["int16", "fp16", "fp8e4m3", "int4b32"] as const) {
    const choices = plan({ hidden: { weight, activation: "float" } });
    const [first, second] = [1, 2].map(() => ortCpu.layout(model, choices, new Map()).weights[0]!.quantizer);
    expect(second).toBe(first);
  }
});
