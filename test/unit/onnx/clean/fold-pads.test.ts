import { describe, expect, it } from "vitest";
import type { AttributeValue } from "../../../../src/onnx/attributes.js";
import { intsAttribute } from "../../../../src/onnx/attributes.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel, type ModelBuilder } from "../../../support/model-builder.js";
import { float32, int64, randomTensor } from "../../../support/tensors.js";

const x = randomTensor([2, 4, 5, 6], 1);

interface PadOptions {
  readonly pads?: readonly number[];
  readonly value?: number;
  readonly attributes?: Record<string, AttributeValue>;
  readonly axes?: readonly number[];
  /** Operator in front of the Pad. */
  readonly first?: string;
}

/** x -> [first] -> Pad -> layer -> y. */
function padded(layer: string, attributes: Record<string, AttributeValue>, options: PadOptions = {}): ModelBuilder {
  const { pads = [0, 0, 1, 0, 0, 0, 0, 2], value, axes, first } = options;
  const model = buildModel(18)
    .input("x", ["N", 4, 5, 6])
    .constant("pads", int64([pads.length], pads));
  if (first !== undefined) model.node(first, ["x"], ["f"]);
  const inputs = [first === undefined ? "x" : "f", "pads"];
  if (value !== undefined) model.constant("value", float32([], [value]));
  if (value !== undefined || axes !== undefined) inputs.push(value === undefined ? "" : "value");
  if (axes !== undefined) {
    model.constant("axes", int64([axes.length], axes));
    inputs.push("axes");
  }
  model.node("Pad", inputs, ["p"], options.attributes ?? {});
  if (layer === "Conv") model.constant("w", randomTensor([3, 4, 3, 3], 2));
  return model.node(layer, layer === "Conv" ? ["p", "w"] : ["p"], ["y"], attributes).output("y");
}

const window = { kernel_shape: [3n, 3n], strides: [2n, 2n] };

describe("fold-pads", () => {
  it.each<[string, ModelBuilder, number[]]>([
    ["Conv", padded("Conv", {}), [1, 0, 0, 2]],
    ["Conv that pads too", padded("Conv", { pads: [1n, 1n, 1n, 1n] }), [2, 1, 1, 3]],
    ["Conv with auto_pad VALID", padded("Conv", { auto_pad: "VALID" }), [1, 0, 0, 2]],
    ["Conv, zero written out", padded("Conv", {}, { value: 0 }), [1, 0, 0, 2]],
    ["Conv, axes named", padded("Conv", {}, { pads: [1, 2, 0, 1], axes: [-1, 2] }), [2, 1, 1, 0]],
    ["AveragePool", padded("AveragePool", window), [1, 0, 0, 2]],
    [
      "AveragePool that counts its padding",
      padded("AveragePool", { ...window, pads: [1n, 1n, 1n, 0n], count_include_pad: 1n }),
      [2, 1, 1, 2],
    ],
    ["MaxPool, minus infinity", padded("MaxPool", window, { value: Number.NEGATIVE_INFINITY }), [1, 0, 0, 2]],
    ["MaxPool behind a Relu", padded("MaxPool", window, { first: "Relu" }), [1, 0, 0, 2]],
    [
      "MaxPool behind a Sigmoid",
      padded("MaxPool", { ...window, pads: [1n, 1n, 1n, 0n] }, { first: "Sigmoid" }),
      [2, 1, 1, 2],
    ],
  ])("goes into %s", async (_, model, pads) => {
    const { ops, graph } = await cleanAndCompare(model, { x });
    expect(ops).not.toContain("Pad");
    expect(intsAttribute(graph.producer("y")!, "pads", undefined)).toEqual(pads);
  });

  it("reads pads and value from attributes, as before operator set 11", async () => {
    const model = buildModel(10)
      .input("x", [2, 4, 5, 6])
      .constant("w", randomTensor([3, 4, 3, 3], 2));
    model
      .node("Pad", ["x"], ["p"], { pads: [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n] })
      .node("Conv", ["p", "w"], ["y"])
      .output("y");
    expect((await cleanAndCompare(model, { x })).ops).toEqual(["Conv"]);
    const other = buildModel(10)
      .input("x", [2, 4, 5, 6])
      .constant("w", randomTensor([3, 4, 3, 3], 2));
    other
      .node("Pad", ["x"], ["p"], { pads: [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n], value: 1 })
      .node("Conv", ["p", "w"], ["y"]);
    expect((await cleanAndCompare(other.output("y"), { x })).ops).toEqual(["Pad", "Conv"]);
  });

  it.each<[string, ModelBuilder]>([
    ["its value is not zero", padded("Conv", {}, { value: 0.5 })],
    ["it reflects", padded("Conv", {}, { attributes: { mode: "reflect" } })],
    ["it pads channels", padded("AveragePool", window, { pads: [0, 0, 0, 0, 0, 1, 0, 0] })],
    ["it crops", padded("Conv", {}, { pads: [0, 0, -1, 0, 0, 0, 0, 1] })],
    ["the Conv pads by itself", padded("Conv", { auto_pad: "SAME_LOWER" })],
    ["another node reads it", padded("Conv", {}).node("Relu", ["p"], ["z"]).output("z")],
    ["it leaves the graph", padded("Conv", {}).output("p")],
    [
      "AveragePool has padding that it does not count",
      padded("AveragePool", { ...window, pads: [1n, 1n, 1n, 1n] }, { pads: [0, 0, 1, 0, 0, 0, 0, 0] }),
    ],
    ["AveragePool adds windows", padded("AveragePool", { ...window, ceil_mode: 1n })],
    ["MaxPool may see values below zero", padded("MaxPool", window)],
    ["MaxPool sees values below zero behind an operator", padded("MaxPool", window, { first: "Tanh" })],
    ["MaxPool is padded with a number", padded("MaxPool", window, { value: -1000 })],
    [
      "MaxPool would be padded by a whole window",
      padded("MaxPool", window, { first: "Relu", pads: [0, 0, 3, 0, 0, 0, 0, 0] }),
    ],
    [
      "MaxPool gives indices",
      (() => {
        const model = padded("MaxPool", window, { first: "Relu" });
        model.graph.node.at(-1)!.output.push("indices");
        return model.output("indices", undefined, "int64");
      })(),
    ],
  ])("does not fold when %s", async (_, model) => {
    expect((await cleanAndCompare(model, { x })).ops).toContain("Pad");
  });

  it("does not fold sizes that are computed", async () => {
    const model = buildModel(18)
      .input("x", [2, 4, 5, 6])
      .input("pads", [8], "int64")
      .constant("w", randomTensor([3, 4, 3, 3], 2));
    model.node("Pad", ["x", "pads"], ["p"]).node("Conv", ["p", "w"], ["y"]).output("y");
    const { ops } = await cleanAndCompare(model, { x, pads: int64([8], [0, 0, 1, 1, 0, 0, 1, 1]) });
    expect(ops).toEqual(["Pad", "Conv"]);
  });
});
