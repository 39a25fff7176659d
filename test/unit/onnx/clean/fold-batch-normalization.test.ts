import { describe, expect, it } from "vitest";
import type { AttributeValue } from "../../../../src/onnx/attributes.js";
import { cleanModel } from "../../../../src/onnx/clean/index.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel, type ModelBuilder } from "../../../support/model-builder.js";
import { ifNode } from "../../../support/subgraphs.js";
import { randomTensor } from "../../../support/tensors.js";

/** Adds y = BatchNormalization(x) over `channels` with statistics that are far from neutral. */
function normalize(
  model: ModelBuilder,
  from: string,
  to: string,
  channels: number,
  attributes: Record<string, AttributeValue> = {},
) {
  model
    .constant(`${to}_scale`, randomTensor([channels], 11, -2, 2))
    .constant(`${to}_shift`, randomTensor([channels], 12));
  model
    .constant(`${to}_mean`, randomTensor([channels], 13))
    .constant(`${to}_var`, randomTensor([channels], 14, 0.01, 3));
  const inputs = [from, `${to}_scale`, `${to}_shift`, `${to}_mean`, `${to}_var`];
  return model.node("BatchNormalization", inputs, [to], { epsilon: 0.001, ...attributes }, { name: `bn_${to}` });
}

const x = randomTensor([2, 4, 5, 6], 1);

function convModel(
  weight: readonly number[],
  attributes: Record<string, AttributeValue> = {},
  opType = "Conv",
  bias?: number,
) {
  const model = buildModel(17).input("x", ["N", 4, 5, 6]).constant("w", randomTensor(weight, 2));
  if (bias !== undefined) model.constant("b", randomTensor([bias], 3));
  return model.node(opType, bias === undefined ? ["x", "w"] : ["x", "w", "b"], ["c"], attributes, { name: "layer" });
}

describe("fold-batch-normalization", () => {
  it.each<[string, ModelBuilder, number]>([
    ["Conv", convModel([6, 4, 3, 3], { pads: [1n, 1n, 1n, 1n] }), 6],
    ["Conv with a bias", convModel([6, 4, 3, 3], {}, "Conv", 6), 6],
    ["depthwise Conv", convModel([8, 1, 3, 3], { group: 4n }, "Conv", 8), 8],
    ["grouped Conv", convModel([6, 2, 1, 1], { group: 2n }), 6],
    ["ConvTranspose", convModel([4, 3, 3, 3], { strides: [2n, 2n] }, "ConvTranspose", 3), 3],
    ["grouped ConvTranspose", convModel([4, 3, 2, 2], { group: 2n }, "ConvTranspose"), 6],
  ])("goes into %s", async (_, model, channels) => {
    const { ops, passes, graph } = await cleanAndCompare(normalize(model, "c", "y", channels).output("y"), { x });
    expect(ops).toHaveLength(1);
    expect(passes).toContain("fold-batch-normalization");
    // The layer writes to the graph's output; its weight keeps its name.
    expect(graph.nodes[0]).toMatchObject({ name: "layer", output: ["y"] });
    expect(graph.nodes[0]!.input[1]).toBe("w");
    expect(graph.proto.initializer).toHaveLength(2);
  });

  it.each([
    [0n, [5, 3], undefined],
    [1n, [3, 5], [3]],
    [0n, [5, 3], [1, 3]],
    [1n, [3, 5], [1]],
    [0n, [5, 3], []],
  ] as const)("goes into Gemm: transB %s, weight [%s], bias [%s]", async (transB, weight, bias) => {
    const model = buildModel(17).input("x", [2, 5]).constant("w", randomTensor(weight, 2));
    if (bias !== undefined) model.constant("b", randomTensor(bias, 3));
    model.node("Gemm", bias === undefined ? ["x", "w"] : ["x", "w", "b"], ["c"], { transB, alpha: 0.5, beta: 2 });
    const { ops } = await cleanAndCompare(normalize(model, "c", "y", 3).output("y"), { x: randomTensor([2, 5], 5) });
    expect(ops).toEqual(["Gemm"]);
  });

  it("leaves the weight of another layer alone", async () => {
    const model = convModel([6, 4, 3, 3], {}, "Conv", 6).node(
      "Conv",
      ["x", "w", "b"],
      ["other"],
      {},
      { name: "other" },
    );
    const { ops, graph } = await cleanAndCompare(normalize(model, "c", "y", 6).output("y").output("other"), { x });
    expect(ops).toEqual(["Conv", "Conv"]);
    expect(graph.producer("other")!.input).toEqual(["x", "w", "b"]);
    expect(graph.producer("y")!.input).toEqual(["x", "w_1", "b_1"]);
  });

  it("folds a chain of two", async () => {
    const model = normalize(normalize(convModel([6, 4, 3, 3]), "c", "d", 6), "d", "y", 6);
    expect((await cleanAndCompare(model.output("y"), { x })).ops).toEqual(["Conv"]);
  });

  it.each<[string, () => ModelBuilder]>([
    [
      "another node reads what lies between",
      () =>
        normalize(convModel([6, 4, 3, 3]), "c", "y", 6)
          .node("Relu", ["c"], ["r"])
          .output("r"),
    ],
    ["what lies between is a graph output", () => normalize(convModel([6, 4, 3, 3]), "c", "y", 6).output("c")],
    [
      "a subgraph reads what lies between",
      () =>
        normalize(convModel([6, 4, 3, 3]), "c", "y", 6)
          .input("flag", [], "bool")
          .add(ifNode("flag", "c", "x", "z"))
          .output("z"),
    ],
    [
      "its statistics are inputs",
      () => {
        const model = convModel([6, 4, 3, 3]).input("mean", [6]);
        for (const name of ["scale", "shift", "var"]) model.constant(name, randomTensor([6], 4, 0.5, 1));
        return model.node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["y"]);
      },
    ],
    [
      "the weight is computed",
      () => {
        const model = buildModel(17).input("x", ["N", 4, 5, 6]).input("w", [6, 4, 3, 3]);
        return normalize(model.node("Conv", ["x", "w"], ["c"]), "c", "y", 6);
      },
    ],
    [
      "the bias of a Gemm differs from row to row",
      () => {
        const model = buildModel(17)
          .input("g", [2, 5])
          .constant("w", randomTensor([5, 3], 2))
          .constant("b", randomTensor([2, 3], 3));
        return normalize(model.node("Gemm", ["g", "w", "b"], ["c"]), "c", "y", 3);
      },
    ],
    [
      "it follows something else",
      () => normalize(buildModel(17).input("x", ["N", 4, 5, 6]).node("Relu", ["x"], ["c"]), "c", "y", 4),
    ],
  ])("does not fold when %s", async (_, build) => {
    const model = build().output("y");
    const names = new Set(model.graph.input.map(({ name }) => name));
    const all = {
      x,
      mean: randomTensor([6], 6),
      w: randomTensor([6, 4, 3, 3], 7),
      g: randomTensor([2, 5], 8),
      flag: { dtype: "bool", dims: [], data: Uint8Array.of(1) },
    } as const;
    const feeds = Object.fromEntries(Object.entries(all).filter(([name]) => names.has(name)));
    const { ops } = await cleanAndCompare(model, feeds);
    expect(ops).toContain("BatchNormalization");
  });
});

describe("fold-leading-batch-normalization", () => {
  const leading = (weight: readonly number[], attributes: Record<string, AttributeValue> = {}, bias?: number) => {
    const model = normalize(buildModel(17).input("x", ["N", 4, 5, 6]), "x", "n", 4).constant(
      "w",
      randomTensor(weight, 2),
    );
    if (bias !== undefined) model.constant("b", randomTensor([bias], 3));
    return model.node("Conv", bias === undefined ? ["n", "w"] : ["n", "w", "b"], ["y"], attributes).output("y");
  };

  it.each<[string, ModelBuilder]>([
    ["Conv", leading([6, 4, 3, 3])],
    ["Conv with a bias", leading([6, 4, 3, 3], {}, 6)],
    ["grouped Conv", leading([6, 2, 2, 3], { group: 2n, strides: [2n, 1n] })],
    ["depthwise Conv", leading([8, 1, 3, 3], { group: 4n, auto_pad: "VALID" }, 8)],
  ])("goes into %s without padding", async (_, model) => {
    const { ops, passes } = await cleanAndCompare(model, { x });
    expect(ops).toEqual(["Conv"]);
    expect(passes).toContain("fold-leading-batch-normalization");
  });

  it.each<[string, ModelBuilder]>([
    ["the Conv pads", leading([6, 4, 3, 3], { pads: [0n, 0n, 0n, 1n] })],
    ["the Conv pads by itself", leading([6, 4, 3, 3], { auto_pad: "SAME_UPPER" })],
    ["another node reads it", leading([6, 4, 3, 3]).node("Relu", ["n"], ["z"]).output("z")],
    ["it leaves the graph", leading([6, 4, 3, 3]).output("n")],
  ])("does not fold when %s", async (_, model) => {
    expect((await cleanAndCompare(model, { x })).ops).toContain("BatchNormalization");
  });
});

it("leaves a BatchNormalization that trains", () => {
  const model = normalize(convModel([6, 4, 3, 3]), "c", "y", 6, { training_mode: 1n });
  model.graph.node[1]!.output.push("running_mean", "running_var");
  model.output("y").output("running_mean", [6]);
  expect(cleanModel(model.build()).changes).toEqual([]);
});
