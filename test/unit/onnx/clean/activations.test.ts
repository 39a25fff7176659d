import { describe, expect, it } from "vitest";
import { clipBounds } from "../../../../src/onnx/clean/value-range.js";
import { cleanAndCompare } from "../../../support/clean-oracle.js";
import { buildModel } from "../../../support/model-builder.js";
import { float32, randomTensor, scalar } from "../../../support/tensors.js";

type Step = "Relu" | readonly [low: number | undefined, high: number | undefined];

/** A chain of Relu and Clip, by operator set 11's inputs or the attributes before it. */
function chain(steps: readonly Step[], opset = 17) {
  const model = buildModel(opset).input("x", [9]).node("Neg", ["x"], ["v0"]);
  steps.forEach((step, i) => {
    const [from, to] = [`v${i}`, i === steps.length - 1 ? "y" : `v${i + 1}`];
    if (step === "Relu") {
      model.node("Relu", [from], [to]);
      return;
    }
    const [low, high] = step;
    if (opset < 11) {
      model.node("Clip", [from], [to], {
        ...(low === undefined ? {} : { min: low }),
        ...(high === undefined ? {} : { max: high }),
      });
      return;
    }
    if (low !== undefined) model.constant(`low${i}`, scalar(low));
    if (high !== undefined) model.constant(`high${i}`, scalar(high));
    model.node("Clip", [from, low === undefined ? "" : `low${i}`, high === undefined ? "" : `high${i}`], [to]);
  });
  return model.output("y");
}

const x = float32([9], [-9, -6, -4, -1, 0, 1, 4, 6, 9]);

describe("merge-activations", () => {
  const cases: readonly [readonly Step[], string[], [number, number]?][] = [
    [
      ["Relu", "Relu"],
      ["Neg", "Relu"],
    ],
    [
      ["Relu", [0, 6]],
      ["Neg", "Clip"],
      [0, 6],
    ],
    [
      ["Relu", [-3, 6]],
      ["Neg", "Clip"],
      [0, 6],
    ],
    [
      ["Relu", [undefined, 6]],
      ["Neg", "Clip"],
      [0, 6],
    ],
    [
      ["Relu", [2, 6]],
      ["Neg", "Clip"],
      [2, 6],
    ],
    [
      [[0, 6], "Relu"],
      ["Neg", "Clip"],
      [0, 6],
    ],
    [
      [[-1, 6], "Relu"],
      ["Neg", "Clip"],
      [0, 6],
    ],
    [
      [
        [-5, 5],
        [-1, 8],
      ],
      ["Neg", "Clip"],
      [-1, 5],
    ],
    [
      [
        [-5, -2],
        [1, 8],
      ],
      ["Neg", "Clip"],
      [1, 1],
    ],
    [
      [[undefined, undefined], "Relu"],
      ["Neg", "Relu"],
    ],
    [
      ["Relu", [undefined, undefined]],
      ["Neg", "Relu"],
    ],
    [
      ["Relu", [0, 6], "Relu", [0, 4]],
      ["Neg", "Clip"],
      [0, 4],
    ],
  ];
  it.each(cases)("joins %j", async (steps, ops, bounds) => {
    for (const opset of [17, 9]) {
      const cleaned = await cleanAndCompare(chain(steps, opset), { x });
      expect(cleaned.ops).toEqual(ops);
      const last = cleaned.graph.producer("y")!;
      if (bounds !== undefined) expect(clipBounds(cleaned.graph, last)).toEqual({ low: bounds[0], high: bounds[1] });
    }
  });

  it("keeps both when another node reads the first", async () => {
    const model = chain(["Relu", [0, 6]])
      .node("Neg", ["v1"], ["z"])
      .output("z");
    const { ops, graph } = await cleanAndCompare(model, { x });
    expect(ops).toEqual(["Neg", "Relu", "Clip", "Neg"]);
    expect(graph.producer("y")!.input[0]).toBe("v1");
  });

  it("still drops a second one that does nothing", async () => {
    const model = chain(["Relu", "Relu"]).node("Neg", ["v1"], ["z"]).output("z");
    expect((await cleanAndCompare(model, { x })).ops).toEqual(["Neg", "Relu", "Neg"]);
  });

  it("keeps bounds that are computed", async () => {
    const model = buildModel(17)
      .input("x", [9])
      .input("high", [])
      .node("Relu", ["x"], ["r"])
      .node("Clip", ["r", "", "high"], ["y"]);
    expect((await cleanAndCompare(model.output("y"), { x, high: scalar(3) })).ops).toEqual(["Relu", "Clip"]);
  });
});

describe("global-average-pool", () => {
  const pictures = randomTensor([2, 3, 4, 5], 1);
  const mean = (axes: readonly bigint[], keepdims: bigint, dims: readonly (number | string)[] = ["N", 3, 4, 5]) =>
    buildModel(17)
      .input("x", dims)
      .node("Relu", ["x"], ["r"])
      .node("ReduceMean", ["r"], ["y"], { axes, keepdims }, { name: "mean" })
      .output("y");

  it.each([[[2n, 3n]], [[-1n, -2n]], [[3n, 2n]]])("takes the place of a mean over axes %s", async (axes) => {
    const kept = await cleanAndCompare(mean(axes, 1n), { x: pictures });
    expect(kept.ops).toEqual(["Relu", "GlobalAveragePool"]);
    expect(kept.graph.nodes[1]!.name).toBe("mean");
    const dropped = await cleanAndCompare(mean(axes, 0n), { x: pictures });
    expect(dropped.ops).toEqual(["Relu", "GlobalAveragePool", "Flatten"]);
  });

  it("leaves other means", async () => {
    for (const axes of [[1n, 2n], [3n], [1n, 2n, 3n]]) {
      expect((await cleanAndCompare(mean(axes, 0n), { x: pictures })).ops).toEqual(["Relu", "ReduceMean"]);
    }
    const volumes = mean([2n, 3n], 0n, ["N", 3, 2, 2, 5]);
    expect((await cleanAndCompare(volumes, { x: randomTensor([2, 3, 2, 2, 5], 1) })).ops).toEqual([
      "Relu",
      "ReduceMean",
    ]);
  });
});
