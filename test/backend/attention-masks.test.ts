import { describe, expect, test } from "vitest";
import { Graph } from "../../src/backend/graph.js";
import type { OnnxModel } from "../../src/onnx/model.js";
import { writeModel } from "../../src/onnx/model.js";
import { encodeProgram } from "../../src/onnx/program.js";
import { elementCount, type Feeds, type Tensor, type TensorOf } from "../../src/tensor.js";
import { backend } from "../support/backends.js";
import { buildModel } from "../support/model-builder.js";
import { runOnnx } from "../support/onnxruntime.js";
import { randomTensor } from "../support/tensors.js";

const heads = 2;
const width = 8;

interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly past: number;
}

/** Every shape that a mask could be thought to have; onnxruntime says which of them are some. */
function shapes({ batch, queries, keys, past }: Sizes): number[][] {
  const total = keys + past;
  const all = [
    ...[[], [1], [batch], [2 * batch], [3 * batch + 2], [total]],
    ...[
      [1, 1],
      [batch, 1],
      [batch, keys],
      [batch, total],
      [1, total],
      [queries, total],
    ],
    ...[
      [batch, queries, total],
      [batch, 1, total],
      [1, queries, total],
    ],
    ...[
      [batch, 1, queries, total],
      [batch, 1, 1, total],
      [batch, 1, total, total],
    ],
  ];
  return [...new Map(all.map((dims) => [dims.join(), dims])).values()];
}

/** Flags, or ends of keys and numbers that are starts where starts are taken. No query is left without keys. */
function maskOf(dims: readonly number[], { batch, keys, past }: Sizes): Tensor {
  const total = keys + past;
  const data = Int32Array.from({ length: elementCount(dims) }, (_, i) => {
    if (dims.length < 2) return i < batch ? total - (i % 2) : i % 2;
    return i % total === 0 || i % 3 > 0 ? 1 : 0;
  });
  return { dtype: "int32", dims, data };
}

function modelWith(
  opType: string,
  sizes: Sizes,
  mask: Tensor,
  unidirectional: boolean,
): { model: OnnxModel; feeds: Feeds } {
  const { batch, queries, keys, past } = sizes;
  const feeds: Record<string, Tensor> = { x: randomTensor([batch, queries, width], 1), mask };
  const build = buildModel(17).opset("com.microsoft", 1).input("x", [null, null, width]);
  build.input(
    "mask",
    mask.dims.map(() => null),
    "int32",
  );
  const attributes = { num_heads: BigInt(heads), unidirectional: unidirectional ? 1n : 0n };
  const size = width / heads;
  const pasts: [string, number[]][] =
    opType === "Attention"
      ? [["past", [2, batch, heads, past, size]]]
      : ["past_k", "past_v"].map((name): [string, number[]] => [name, [batch, heads, past, size]]);
  if (past > 0) {
    for (const [name, dims] of pasts) {
      build.input(
        name,
        dims.map(() => null),
      );
      feeds[name] = randomTensor(dims, name.length);
    }
  }
  const pastNames = past > 0 ? pasts.map(([name]) => name) : [];
  const presents = pastNames.map((name) => `${name}_present`);
  if (opType === "Attention") {
    build.constant("w", randomTensor([width, 3 * width], 2)).constant("b", randomTensor([3 * width], 3));
    build.node(opType, ["x", "w", "b", "mask", ...pastNames], ["y", ...presents], attributes, {
      domain: "com.microsoft",
    });
  } else {
    for (const name of ["k", "v"]) {
      build.input(name, [null, null, width]);
      feeds[name] = randomTensor([batch, keys, width], name.charCodeAt(0));
    }
    const inputs = ["x", "k", "v", "", "mask", ...(past > 0 ? ["", ...pastNames] : [])];
    build.node(opType, inputs, ["y", ...presents], attributes, { domain: "com.microsoft" });
  }
  return { model: build.output("y").build(), feeds };
}

async function inEngine(model: OnnxModel, feeds: Feeds): Promise<TensorOf<"float32">> {
  const { program, tensors } = encodeProgram(model);
  const graph = await Graph.create(backend, program);
  try {
    await graph.run(new Map(Object.entries(feeds).map(([name, tensor]) => [tensors.indexOf(name), tensor])));
    return (await graph.read(tensors.indexOf("y"))) as TensorOf<"float32">;
  } finally {
    await graph.dispose();
  }
}

describe.each([
  ["MultiHeadAttention", { batch: 2, queries: 3, keys: 3, past: 0 }],
  ["MultiHeadAttention", { batch: 2, queries: 3, keys: 5, past: 0 }],
  ["MultiHeadAttention", { batch: 3, queries: 4, keys: 2, past: 0 }],
  ["MultiHeadAttention", { batch: 2, queries: 1, keys: 1, past: 4 }],
  ["MultiHeadAttention", { batch: 1, queries: 2, keys: 2, past: 3 }],
  ["Attention", { batch: 2, queries: 3, keys: 3, past: 0 }],
  ["Attention", { batch: 2, queries: 1, keys: 1, past: 0 }],
  ["Attention", { batch: 1, queries: 3, keys: 3, past: 2 }],
  ["Attention", { batch: 3, queries: 1, keys: 1, past: 4 }],
])("%s of %o", (opType, sizes) => {
  const cases = shapes(sizes).flatMap((dims) => [false, true].map((unidirectional) => ({ dims, unidirectional })));

  test.each(cases)("takes a mask of shape $dims as onnxruntime does: unidirectional $unidirectional", async (given) => {
    const { model, feeds } = modelWith(opType, sizes, maskOf(given.dims, sizes), given.unidirectional);
    const expected = await runOnnx(writeModel(model), feeds, { quiet: true }).catch(() => undefined);
    if (expected === undefined) {
      await expect(inEngine(model, feeds)).rejects.toMatchObject({ code: "unsupported-op" });
      return;
    }
    const wanted = (expected.y as TensorOf<"float32">).data;
    const { data } = await inEngine(model, feeds);
    expect(data).toHaveLength(wanted.length);
    for (const [i, value] of data.entries()) expect(value).toBeCloseTo(wanted[i]!, 4);
  });
});

test("ends of keys are no negative numbers", async () => {
  const sizes = { batch: 2, queries: 3, keys: 3, past: 0 };
  const mask: Tensor = { dtype: "int32", dims: [2], data: Int32Array.of(2, -1) };
  const { model, feeds } = modelWith("MultiHeadAttention", sizes, mask, false);
  await expect(inEngine(model, feeds)).rejects.toMatchObject({ code: "invalid-model" });
});
