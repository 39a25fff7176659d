import { describe, expect, it } from "vitest";
import type { AttributeValue } from "../../../../src/onnx/attributes.js";
import { cleanModel } from "../../../../src/onnx/clean/index.js";
import type { Tensor } from "../../../../src/tensor.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel, type ModelBuilder } from "../../../support/model-builder.js";
import { float32, randomTensor } from "../../../support/tensors.js";

const int32 = (dims: readonly number[], values: readonly number[]): Tensor => ({
  dtype: "int32",
  dims,
  data: Int32Array.from(values),
});

/** One node of onnxruntime's domain from "x" to "y"; constants are named by their places. */
function fused(
  opType: string,
  dims: readonly number[],
  constants: readonly (Tensor | undefined)[],
  attributes: Record<string, AttributeValue>,
): ModelBuilder {
  const model = buildModel(17).opset("com.microsoft", 1).input("x", dims);
  const names = constants.map((constant, i) => {
    if (constant === undefined) return "";
    model.constant(`c${i}`, constant);
    return `c${i}`;
  });
  return model.node(opType, ["x", ...names], ["y"], attributes, { name: "node", domain: "com.microsoft" }).output("y");
}

describe("unfuse-products", () => {
  const attention = [randomTensor([8, 24], 2), randomTensor([24], 3)];
  it.each<[string, readonly (Tensor | undefined)[], Record<string, AttributeValue>]>([
    ["all keys", attention, { num_heads: 2n }],
    ["a mask", [...attention, int32([2, 3], [1, 1, 0, 1, 1, 1])], { num_heads: 2n, scale: 0.4 }],
    ["lengths", [...attention, int32([2], [2, 3])], { num_heads: 4n }],
    ["lengths and places in a batch", [...attention, int32([8], [2, 3, 0, 2, 5, 0, 2, 5])], { num_heads: 4n }],
    ["a flag for each query and key", [...attention, int32([2, 3, 3], new Array(18).fill(1))], { num_heads: 4n }],
    ["no mask, written as a single flag", [...attention, int32([2, 1], [0, 1])], { num_heads: 4n }],
    ["a causal mask", attention, { num_heads: 2n, unidirectional: 1n }],
    ["a bias", [...attention, undefined, undefined, randomTensor([1, 2, 3, 3], 4)], { num_heads: 2n }],
    [
      "values of another width",
      [randomTensor([8, 20], 2), randomTensor([20], 3)],
      { num_heads: 2n, qkv_hidden_sizes: [8n, 8n, 4n] },
    ],
  ])("takes the product of Attention over %s out", async (_, constants, attributes) => {
    const cleaned = await cleanAndCompare(fused("Attention", [2, 3, 8], constants, attributes), {
      x: randomTensor([2, 3, 8], 1),
    });
    expect(cleaned.ops).toEqual(["MatMul", "Add", "Split", "MultiHeadAttention"]);
    expect(cleaned.passes).toContain("unfuse-products");
  });

  it("leaves Attention with starts and ends of the keys, which MultiHeadAttention does not take", async () => {
    const model = fused("Attention", [2, 3, 8], [...attention, int32([4], [2, 3, 1, 0])], { num_heads: 2n });
    expect((await cleanAndCompare(model, { x: randomTensor([2, 3, 8], 1) })).ops).toEqual(["Attention"]);
  });

  it("leaves Attention whose weight does not divide into three", () => {
    const model = fused("Attention", [2, 3, 8], [randomTensor([8, 20], 2), randomTensor([20], 3)], { num_heads: 2n });
    expect(cleanModel(model.build()).model.graph.node.map(({ opType }) => opType)).toEqual(["Attention"]);
  });

  it.each<[string, Record<string, AttributeValue>, readonly number[]]>([
    ["as it stands", {}, [8, 5]],
    ["transposed and scaled", { transB: 1n, alpha: 0.25 }, [5, 8]],
  ])("makes a MatMul of FusedMatMul with a weight %s", async (_, attributes, dims) => {
    const model = fused("FusedMatMul", [2, 3, 8], [randomTensor(dims, 2)], attributes);
    expect((await cleanAndCompare(model, { x: randomTensor([2, 3, 8], 1) })).ops).toEqual(["MatMul"]);
  });

  it("leaves FusedMatMul of two activations", async () => {
    const model = buildModel(17).opset("com.microsoft", 1).input("a", [2, 3, 4]).input("b", [2, 5, 4]);
    model.node("FusedMatMul", ["a", "b"], ["y"], { transB: 1n }, { name: "node", domain: "com.microsoft" }).output("y");
    const feeds = { a: randomTensor([2, 3, 4], 1), b: randomTensor([2, 5, 4], 2) };
    expect((await cleanAndCompare(model, feeds)).ops).toEqual(["FusedMatMul"]);
  });

  it("makes a Gemm and its activation of FusedGemm", async () => {
    const constants = [randomTensor([5, 8], 2), randomTensor([5], 3)];
    const attributes = { transB: 1n, activation: "LeakyRelu", activation_alpha: 0.3 };
    expect(
      (await cleanAndCompare(fused("FusedGemm", [3, 8], constants, attributes), { x: randomTensor([3, 8], 1) })).ops,
    ).toEqual(["Gemm", "LeakyRelu"]);
  });

  it.each<[string, Record<string, AttributeValue>]>([
    ["HardSigmoid", { activation_alpha: 0.4, activation_beta: 0.3 }],
    ["Elu", { activation_alpha: 0.7 }],
    ["Selu", { activation_alpha: 1.5, activation_gamma: 1.3 }],
    ["Softplus", {}],
    ["Softsign", {}],
    ["ThresholdedRelu", { activation_alpha: 0.2 }],
  ])("makes a Gemm and %s of FusedGemm", async (activation, parameters) => {
    const constants = [randomTensor([8, 5], 2), randomTensor([5], 3)];
    const model = fused("FusedGemm", [3, 8], constants, { activation, ...parameters });
    expect((await cleanAndCompare(model, { x: randomTensor([3, 8], 1) })).ops).toEqual(["Gemm", activation]);
  });

  it.each<[string, string, readonly number[], readonly string[]]>([
    ["Relu", "Relu", [], ["Conv", "Relu"]],
    ["Clip", "Clip", [-0.2, 0.3], ["Conv", "Clip"]],
    ["HardSigmoid", "HardSigmoid", [0.2, 0.4], ["Conv", "HardSigmoid"]],
  ])("makes a Conv and its activation of FusedConv with %s", async (_, activation, parameters, ops) => {
    const constants = [randomTensor([4, 3, 3, 3], 2), randomTensor([4], 3)];
    const attributes = {
      activation,
      pads: [1n, 1n, 1n, 1n],
      ...(parameters.length > 0 ? { activation_params: { floats: parameters } } : {}),
    };
    expect(
      (
        await cleanAndCompare(fused("FusedConv", [2, 3, 5, 5], constants, attributes), {
          x: randomTensor([2, 3, 5, 5], 1),
        })
      ).ops,
    ).toEqual(ops);
  });

  it("adds what FusedConv adds in front of its activation", async () => {
    const constants = [
      randomTensor([4, 3, 1, 1], 2),
      randomTensor([4], 3),
      float32([1, 4, 5, 5], new Array(100).fill(0.3)),
    ];
    const model = fused("FusedConv", [1, 3, 5, 5], constants, { activation: "Relu", kernel_shape: [1n, 1n] });
    expect((await cleanAndCompare(model, { x: randomTensor([1, 3, 5, 5], 1) })).ops).toEqual(["Conv", "Add", "Relu"]);
  });
});
