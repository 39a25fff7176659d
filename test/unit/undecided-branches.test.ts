import { describe, expect, it } from "vitest";
import { inspect } from "../../src/inspect.js";
import { cleanModel } from "../../src/onnx/clean/index.js";
import { textInspection } from "../../src/report/text-inspection.js";
import type { Feeds } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { ifNode } from "../support/subgraphs.js";
import { float32, int64, randomTensor } from "../support/tensors.js";

/** An If that goes by a rate, by how many samples there are, and by their values, as far as asked for. */
function branching(...by: readonly ("rate" | "count" | "sum")[]) {
  const model = buildModel(17)
    .input("x", ["N", 4])
    .input("rate", [], "int64")
    .constant("w", randomTensor([4, 4], 1))
    .constant("limit", int64([], [16000]))
    .constant("few", int64([1], [2]))
    .constant("first", int64([1], [0]))
    .constant("second", int64([1], [1]))
    .constant("zero", float32([], [0]))
    .constant("always", { dtype: "bool", dims: [], data: Uint8Array.of(1) });
  model.node("Equal", ["rate", "limit"], ["by_rate"]);
  model.node("Shape", ["x"], ["shape"]).node("Slice", ["shape", "first", "second"], ["n"]);
  model.node("Greater", ["n", "few"], ["is_more"]).node("Squeeze", ["is_more"], ["by_count"]);
  model.node("ReduceSum", ["x"], ["sum"], { keepdims: 0n }).node("Greater", ["sum", "zero"], ["by_sum"]);
  const condition = by.reduce((all, next) => {
    model.node("And", [all, `by_${next}`], [`${all}_${next}`]);
    return `${all}_${next}`;
  }, "always");
  return model
    .node("MatMul", ["x", "w"], ["a"])
    .add(ifNode(condition, "a", "x", "y"))
    .output("y")
    .build();
}

async function inspected(model: ReturnType<typeof branching>, given: Feeds = {}) {
  const inspection = await inspect(backend, model, { target: "ort-cpu", bytes: 0, given });
  return { ...inspection, text: textInspection(inspection) };
}

const rate: Feeds = { rate: { dtype: "int64", dims: [], data: BigInt64Array.of(16000n) } };

describe("an inspection says what decides an If:", () => {
  it("an input that data can hold constant", async () => {
    const open = await inspected(branching("rate"));
    expect(open.unsupported).toEqual([{ op: "If", nodes: ["if_y"] }]);
    expect(open.undecided).toEqual([{ node: "if_y", values: ["rate"], sizes: [] }]);
    expect(open.text).toContain(
      'the If if_y is decided by a --data manifest that holds rate constant, as in "rate": { "value": ... }',
    );
    const decided = await inspected(branching("rate"), rate);
    expect(decided).toMatchObject({ unsupported: [], undecided: [] });
    expect(cleanModel(branching("rate"), { given: rate }).model.graph.node.map(({ opType }) => opType)).not.toContain(
      "If",
    );
  });

  it("sizes that the model leaves open", async () => {
    const { undecided, text } = await inspected(branching("count", "rate"), rate);
    expect(undecided).toEqual([{ node: "if_y", values: [], sizes: ["x"] }]);
    expect(text).toContain("the If if_y is decided by the sizes of x, which have to be fixed in the model");
  });

  it("several of them", async () => {
    const { undecided, text } = await inspected(branching("rate", "count", "sum"));
    expect(undecided).toEqual([{ node: "if_y", values: expect.arrayContaining(["rate", "x"]), sizes: ["x"] }]);
    expect(undecided[0]!.values).toHaveLength(2);
    expect(text).toMatch(/is decided by a --data manifest that holds .*, and by the sizes of x/);
  });
});
