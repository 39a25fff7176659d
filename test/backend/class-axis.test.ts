import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { int64, randomTensor } from "../support/tensors.js";

/** A linear classifier of three classes whose logits are shaped as a dense layer or as a pooling leaves them. */
function classifier(shape: readonly bigint[]) {
  return encodeProgram(
    buildModel(17)
      .input("x", ["N", 5])
      .constant("w", randomTensor([5, 3], 1))
      .constant("shape", int64([shape.length], shape))
      .node("MatMul", ["x", "w"], ["y"])
      .node("Reshape", ["y", "shape"], ["logits"])
      .output("logits")
      .build(),
  );
}

describe("classes of logits that keep axes of one element behind them", () => {
  const figures = async (shape: readonly bigint[]) => {
    const { program, tensors } = classifier(shape);
    await using graph = await Graph.create(backend, program);
    const value = tensors.indexOf("logits");
    const weight = tensors.indexOf("w");
    const x = randomTensor([4, 5], 2);
    await graph.run(new Map([[tensors.indexOf("x"), x]]), { keep: true });
    const losses = await graph.loss({ kind: "cross-entropy", value, target: Int32Array.of(0, 1, 2, 1) });
    await graph.gradient([weight]);
    return { losses: [...losses], gradient: [...(await graph.readWeightGradient(weight))] };
  };

  test("are found where they are", async () => {
    const flat = await figures([-1n, 3n]);
    expect(flat.gradient.some((value) => Math.abs(value) > 1e-3)).toBe(true);
    expect(await figures([-1n, 3n, 1n, 1n])).toEqual(flat);
  });
});
