import { describe, expect, it } from "vitest";
import { layerBytes } from "../../../src/cost/bytes.js";
import { layerMacs } from "../../../src/cost/macs.js";
import { findLayers } from "../../../src/export/layers.js";
import { Graph } from "../../../src/onnx/graph.js";
import { buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";

function layersOf(model: ModelBuilder) {
  return findLayers(new Graph(model.build()));
}

describe("findLayers", () => {
  it("leaves out what multiplies constants that are computed", () => {
    const model = buildModel(17)
      .input("x", [1, 4])
      .constant("k", randomTensor([4, 4], 1))
      .constant("w", randomTensor([4, 4], 2))
      .node("Exp", ["k"], ["e"])
      .node("MatMul", ["e", "w"], ["c"], {}, { name: "constants" })
      .node("MatMul", ["x", "c"], ["m"], {}, { name: "by a constant" })
      .node("MatMul", ["m", "w"], ["y"], {}, { name: "layer" })
      .output("y");
    expect(layersOf(model).map(({ node }) => node)).toEqual(["layer"]);
  });

  it("reads a grouped convolution", () => {
    const model = buildModel(17)
      .input("x", [1, 4, 8, 8])
      .constant("w", randomTensor([6, 2, 3, 3], 1))
      .constant("b", randomTensor([6], 2))
      .node("Conv", ["x", "w", "b"], ["y"], { group: 2n }, { name: "c" })
      .output("y");
    expect(layersOf(model)).toEqual([
      {
        node: "c",
        op: "Conv",
        weight: { initializer: "w", port: 1, dims: [6, 2, 3, 3], channelAxis: 0, channels: 6 },
        bias: { initializer: "b", node: "c", port: 2, length: 6 },
        inputs: [{ tensor: "x", port: 0, channelAxis: 1, channels: 4 }],
        output: "y",
        plain: true,
        work: { tensor: "y", macsPerElement: 18 },
      },
    ]);
  });

  it("reads a transposed convolution, whose output channels lie on axis 1", () => {
    const model = buildModel(17)
      .input("x", [1, 4, 8, 8])
      .constant("w", randomTensor([4, 3, 2, 2], 1))
      .node("ConvTranspose", ["x", "w"], ["y"], { group: 2n }, { name: "t" })
      .output("y");
    const [layer] = layersOf(model);
    expect(layer).toMatchObject({
      weight: { channelAxis: 1, channels: 3 },
      bias: undefined,
      inputs: [{ channels: 4 }],
      work: { tensor: "x", macsPerElement: 12 },
    });
  });

  it.each([
    { transB: 1n, dims: [5, 7], axis: 0 },
    { transB: 0n, dims: [7, 5], axis: 1 },
  ])("finds the output channels of Gemm with transB $transB", ({ transB, dims, axis }) => {
    const model = buildModel(17)
      .input("x", [2, 7])
      .constant("w", randomTensor(dims, 1))
      .node("Gemm", ["x", "w"], ["y"], { transB })
      .output("y");
    expect(layersOf(model)[0]).toMatchObject({
      weight: { channelAxis: axis, channels: 5 },
      inputs: [{ channelAxis: 1, channels: 7 }],
      plain: true,
    });
  });

  it.each([
    { alpha: 0.5, why: "a scaled product" },
    { transA: 1n, why: "a transposed activation" },
  ])("does not call $why plain", ({ why, ...attributes }) => {
    const model = buildModel(17)
      .input("x", [7, 7])
      .constant("w", randomTensor([7, 5], 1))
      .node("Gemm", ["x", "w"], ["y"], attributes as Record<string, number | bigint>)
      .output("y");
    expect(layersOf(model)[0]!.plain).toBe(false);
  });

  it("does not call a product plus a matrix plain", () => {
    const model = buildModel(17)
      .input("x", [2, 7])
      .constant("w", randomTensor([7, 5], 1))
      .constant("c", randomTensor([2, 5], 2))
      .node("Gemm", ["x", "w", "c"], ["y"])
      .output("y");
    expect(layersOf(model)[0]).toMatchObject({ plain: false, bias: undefined });
  });

  it("takes a vector added to a MatMul for its bias", () => {
    const model = buildModel(17)
      .input("x", [2, 3, 7])
      .constant("w", randomTensor([7, 5], 1))
      .constant("b", randomTensor([5], 2))
      .node("MatMul", ["x", "w"], ["p"], {}, { name: "m" })
      .node("Add", ["b", "p"], ["y"], {}, { name: "a" })
      .output("y");
    expect(layersOf(model)[0]).toMatchObject({
      node: "m",
      bias: { initializer: "b", node: "a", port: 0 },
      output: "y",
      inputs: [{ channelAxis: -1, channels: 7 }],
    });
  });

  it("does not take what is read elsewhere too for a bias's product", () => {
    const model = buildModel(17)
      .input("x", [2, 7])
      .constant("w", randomTensor([7, 5], 1))
      .constant("b", randomTensor([5], 2))
      .node("MatMul", ["x", "w"], ["p"])
      .node("Add", ["p", "b"], ["y"])
      .node("Neg", ["p"], ["z"])
      .output("y")
      .output("z");
    expect(layersOf(model)[0]).toMatchObject({ bias: undefined, output: "p" });
  });

  it("passes over computed weights that are stored nowhere, and overridable ones", () => {
    const model = buildModel(17)
      .input("x", [2, 2])
      .input("w", [2, 2])
      .constant("w", randomTensor([2, 2], 1))
      .node("Gemm", ["x", "x"], ["a"])
      .node("MatMul", ["a", "w"], ["b"])
      .output("b");
    expect(layersOf(model)).toEqual([]);
  });
});

describe("costs", () => {
  const model = buildModel(17)
    .input("x", [1, 3, 8, 8])
    .constant("w", randomTensor([5, 3, 3, 3], 1))
    .constant("b", randomTensor([5], 2))
    .node("Conv", ["x", "w", "b"], ["y"], {}, { name: "c" })
    .output("y");
  const layer = layersOf(model)[0]!;

  it.each([
    { weight: "float", activation: "float", bytes: 135 * 4 + 20 },
    { weight: "int8", activation: "float", bytes: 135 + 20 + 20 },
    { weight: "int8", activation: "int8", bytes: 135 + 20 + 40 },
    { weight: "int4", activation: "int8", bytes: 68 + 20 + 40 },
  ] as const)("$weight/$activation takes $bytes bytes", ({ bytes, ...choice }) => {
    expect(layerBytes(layer, choice)).toBe(bytes);
  });

  it("counts multiply-accumulates", () => {
    expect(layerMacs(layer, new Map([["y", [1, 5, 6, 6]]]))).toBe(5 * 36 * 27);
  });

  it("names a shape that is missing", () => {
    expect(() => layerMacs(layer, new Map())).toThrow(/tensor "y"/);
  });
});
