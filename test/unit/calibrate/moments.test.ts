import { describe, expect, it } from "vitest";
import { layerRows } from "../../../src/calibrate/layer-rows.js";
import { centred, measureMoments } from "../../../src/calibrate/moments.js";
import { datasetFrom } from "../../../src/data/from-feeds.js";
import { EngineModel } from "../../../src/evaluate/engine-model.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import type { TensorOf } from "../../../src/tensor.js";
import { backend } from "../../support/backends.js";
import { buildModel } from "../../support/model-builder.js";
import { float32, randomTensor } from "../../support/tensors.js";

const samples = 6;
const x = randomTensor([samples, 4, 5, 6], 3, -0.5, 1) as TensorOf<"float32">;

const convolution = (attributes: Record<string, bigint | bigint[] | string>, groups = 1) =>
  buildModel(17)
    .input("x", ["N", 4, 5, 6])
    .constant("w", randomTensor([4, 4 / groups, 3, 2], 7))
    .node("Conv", ["x", "w"], ["y"], { group: BigInt(groups), ...attributes }, { name: "layer" })
    .output("y")
    .build();

const product = (op: "MatMul" | "Gemm", transposed: boolean) =>
  buildModel(17)
    .input("x", op === "Gemm" ? ["N", 6] : ["N", 4, 5, 6])
    .constant("w", randomTensor(transposed ? [3, 6] : [6, 3], 7))
    .node(op, ["x", "w"], ["y"], transposed ? { transB: 1n } : {}, { name: "layer" })
    .output("y")
    .build();

function rowsOf(model: OnnxModel) {
  const [layer] = ortCpu.layers(model);
  return { layer: layer!, rows: layerRows(model.graph.node[0]!, layer!)! };
}

/** What the layer gives, by the vectors and the rows of its weight. */
function multiply(model: OnnxModel, input: TensorOf<"float32">): number[] {
  const { rows } = rowsOf(model);
  const weight = (randomTensor(ortCpu.layers(model)[0]!.weight.dims, 7) as TensorOf<"float32">).data;
  const { positions, copy } = rows.inputs(input.dims);
  const vector = new Float64Array(rows.width);
  const sums: number[] = [];
  for (let n = 0; n < input.dims[0]!; n++) {
    for (let p = 0; p < positions; p++) {
      for (let g = 0; g < rows.groups; g++) {
        copy(input.data, { sample: n, position: p, group: g }, vector, 0, 1);
        for (let r = 0; r < rows.rows; r++) {
          sums.push(vector.reduce((sum, value, c) => sum + value * weight[rows.element(g, r, c)]!, 0));
        }
      }
    }
  }
  return sums.sort((a, b) => a - b);
}

describe("the rows of a layer and what they multiply", () => {
  const flat = float32([samples, 6], x.data.subarray(0, 6 * samples)) as TensorOf<"float32">;
  it.each([
    ["a convolution", convolution({}), x],
    ["one with pads and strides", convolution({ pads: [1n, 0n, 2n, 1n], strides: [2n, 1n] }), x],
    ["one with dilations and groups", convolution({ dilations: [2n, 3n] }, 2), x],
    ["a depthwise one", convolution({ pads: [1n, 1n, 1n, 0n] }, 4), x],
    ["automatic pads", convolution({ auto_pad: "SAME_UPPER", strides: [2n, 2n] }), x],
    ["automatic pads in front", convolution({ auto_pad: "SAME_LOWER", strides: [2n, 2n] }), x],
    ["a product", product("MatMul", false), x],
    ["a Gemm", product("Gemm", false), flat],
    ["a transposed Gemm", product("Gemm", true), flat],
  ])("give the output of %s", async (_name, model, input) => {
    const engine = await EngineModel.create(backend, model);
    await engine.run({ x: input });
    const { data } = (await engine.read("y")) as TensorOf<"float32">;
    await engine.dispose();
    const expected = [...data].sort((a, b) => a - b);
    const found = multiply(model, input);
    expect(found).toHaveLength(expected.length);
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
  });
});

describe("moments of a layer's input", () => {
  const measure = async (model: OnnxModel, batchSize: number) => {
    const { layer, rows } = rowsOf(model);
    const engine = await EngineModel.create(backend, model);
    const dataset = await datasetFrom({ x });
    const indices = Uint32Array.from({ length: samples }, (_, i) => i);
    const options = { engine, dataset, samples: indices, batchSize, seed: 0 };
    const moments = await measureMoments([{ key: "w", tensor: layer.inputs[0]!.tensor, rows }], options);
    await engine.dispose();
    return moments.get("w")!;
  };

  it("are means over all vectors where there are few", async () => {
    const model = convolution({ pads: [1n, 0n, 1n, 1n] }, 2);
    const { rows } = rowsOf(model);
    const { count, products, means } = await measure(model, 4);
    const { positions, copy } = rows.inputs(x.dims);
    expect(count).toBe(samples * positions);
    for (let group = 0; group < 2; group++) {
      const vectors: Float64Array[] = [];
      for (let n = 0; n < samples; n++) {
        for (let p = 0; p < positions; p++) {
          const vector = new Float64Array(rows.width);
          copy(x.data, { sample: n, position: p, group }, vector, 0, 1);
          vectors.push(vector);
        }
      }
      const mean = (f: (v: Float64Array) => number) => vectors.reduce((sum, v) => sum + f(v), 0) / count;
      for (let i = 0; i < rows.width; i++) {
        expect(means[group]![i]).toBeCloseTo(
          mean((v) => v[i]!),
          10,
        );
        for (let j = 0; j < rows.width; j++) {
          const expected = j <= i ? mean((v) => v[i]! * v[j]!) : 0;
          expect(products[group]![i * rows.width + j]).toBeCloseTo(expected, 10);
        }
      }
    }
  });

  it("have the same bits for every batch size", async () => {
    const model = convolution({}, 2);
    expect(await measure(model, 4)).toEqual(await measure(model, 1));
  });

  it("lose what the mean explains when centred", async () => {
    const moments = await measure(convolution({}), 4);
    const variance = centred(moments, 0);
    expect(variance[0]).toBeCloseTo(moments.products[0]![0]! - moments.means[0]![0]! ** 2, 12);
    expect(variance[0]).toBeLessThan(moments.products[0]![0]!);
  });
});
