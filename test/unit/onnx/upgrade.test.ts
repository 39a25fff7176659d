import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { AttributeValue } from "../../../src/onnx/attributes.js";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
} from "../../../src/onnx/generated/onnx_pb.js";
import { readModel, writeModel } from "../../../src/onnx/model.js";
import { makeNode } from "../../../src/onnx/node.js";
import { upgradeOpset } from "../../../src/onnx/upgrade/index.js";
import type { Feeds, Tensor } from "../../../src/tensor.js";
import { expectSameOutputs } from "../../support/clean-oracle.js";
import { buildModel, type ModelBuilder, valueInfo } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { float32, int64, randomTensor } from "../../support/tensors.js";

interface Sample {
  readonly op: string;
  readonly opset: number;
  readonly input?: readonly number[];
  readonly constants?: readonly Tensor[];
  readonly attributes?: Record<string, AttributeValue>;
  readonly outputs?: readonly (readonly [name: string, dtype: Tensor["dtype"]])[];
}

const ints = (...values: number[]) => values.map(BigInt);
const picture = [1, 4, 6, 5] as const;
const window = { kernel_shape: ints(3, 3), strides: ints(2, 2) };
const indices = [
  ["y", "float32"],
  ["i", "int64"],
] as const;

const samples: readonly Sample[] = [
  { op: "Slice", opset: 9, input: [5, 6], attributes: { starts: ints(1, -3), ends: ints(4, 100) } },
  { op: "Slice", opset: 9, input: [5, 6], attributes: { starts: ints(1), ends: ints(-1), axes: ints(1) } },
  { op: "Slice", opset: 9, input: [5, 6], attributes: { starts: ints(2), ends: [2n ** 63n - 1n] } },
  { op: "TopK", opset: 9, input: [3, 7], attributes: { k: 3n, axis: 1n }, outputs: indices },
  { op: "TopK", opset: 10, input: [3, 7], constants: [int64([1], [2])], outputs: indices },
  { op: "Clip", opset: 10, attributes: { min: -0.5, max: 0.25 } },
  { op: "Clip", opset: 7, attributes: { max: 0.25 } },
  { op: "Pad", opset: 10, attributes: { pads: ints(0, 0, 1, 2, 0, 1, 0, 0), value: 0.5 } },
  { op: "Pad", opset: 7, attributes: { pads: ints(0, 0, 1, 2, 0, 0, 0, 1), mode: "reflect" } },
  { op: "Pad", opset: 11, constants: [int64([8], [0, 0, 1, 2, 0, 1, 0, 0]), float32([], [2])] },
  { op: "Dropout", opset: 7, attributes: { ratio: 0.3 } },
  { op: "Dropout", opset: 10 },
  { op: "Squeeze", opset: 11, input: [1, 3, 1], attributes: { axes: ints(0, 2) } },
  { op: "Squeeze", opset: 9, input: [1, 3, 1] },
  { op: "Unsqueeze", opset: 12, input: [3, 4], attributes: { axes: ints(0, 3) } },
  {
    op: "Split",
    opset: 11,
    input: [7, 2],
    attributes: { split: ints(3, 4) },
    outputs: [
      ["y", "float32"],
      ["z", "float32"],
    ],
  },
  {
    op: "Split",
    opset: 9,
    input: [6, 2],
    outputs: [
      ["y", "float32"],
      ["z", "float32"],
    ],
  },
  {
    op: "Split",
    opset: 13,
    input: [6, 2],
    outputs: [
      ["y", "float32"],
      ["z", "float32"],
      ["w", "float32"],
    ],
  },
  {
    op: "Split",
    opset: 13,
    input: [6, 2],
    constants: [int64([2], [1, 5])],
    outputs: [
      ["y", "float32"],
      ["z", "float32"],
    ],
  },
  ...["ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"].flatMap(
    (op): Sample[] => [
      { op, opset: 12, attributes: { axes: ints(1, -1), keepdims: 0n } },
      { op, opset: 17 },
    ],
  ),
  { op: "ReduceSum", opset: 11, attributes: { axes: ints(2), keepdims: 0n } },
  { op: "ReduceSum", opset: 13, constants: [int64([1], [2])] },
  ...["Softmax", "LogSoftmax", "Hardmax"].flatMap((op): Sample[] => [
    { op, opset: 12 },
    { op, opset: 9, attributes: { axis: 2n } },
    { op, opset: 11, attributes: { axis: 3n } },
    { op, opset: 11, attributes: { axis: -1n } },
    { op, opset: 11, attributes: { axis: -3n } },
    { op, opset: 11, input: [3, 7] },
    { op, opset: 13, attributes: { axis: 1n } },
  ]),
  { op: "Upsample", opset: 7, attributes: { scales: { floats: [1, 1, 2, 3] } } },
  { op: "Upsample", opset: 7, attributes: { scales: { floats: [1, 1, 2, 2] }, mode: "linear" } },
  { op: "Upsample", opset: 9, constants: [float32([4], [1, 1, 1.5, 2.6])] },
  { op: "Resize", opset: 10, constants: [float32([4], [1, 1, 2, 1.3])] },
  { op: "Resize", opset: 10, constants: [float32([4], [1, 1, 0.5, 0.7])] },
  { op: "Resize", opset: 10, constants: [float32([4], [1, 1, 2, 0.6])], attributes: { mode: "linear" } },
  {
    op: "Resize",
    opset: 11,
    constants: [float32([0], []), float32([4], [1, 1, 2, 1.3])],
    attributes: { mode: "linear", coordinate_transformation_mode: "align_corners" },
  },
  { op: "Resize", opset: 13, constants: [float32([0], []), float32([0], []), int64([4], [1, 4, 3, 9])] },
  {
    op: "BatchNormalization",
    opset: 7,
    attributes: { spatial: 1n },
    constants: [1, 2, 3, 4].map((seed) => randomTensor([4], seed, 0.5, 1)),
  },
  { op: "BatchNormalization", opset: 9, constants: [1, 2, 3, 4].map((seed) => randomTensor([4], seed, 0.5, 1)) },
  { op: "AveragePool", opset: 7, attributes: { ...window, pads: ints(1, 1, 1, 1) } },
  { op: "AveragePool", opset: 10, attributes: { ...window, ceil_mode: 1n } },
  { op: "AveragePool", opset: 11, attributes: { ...window, ceil_mode: 1n, pads: ints(1, 0, 1, 1) } },
  { op: "AveragePool", opset: 11, attributes: { ...window, count_include_pad: 1n, pads: ints(1, 0, 1, 1) } },
  {
    op: "AveragePool",
    opset: 11,
    attributes: { ...window, ceil_mode: 1n, count_include_pad: 1n, pads: ints(1, 0, 1, 1) },
  },
  { op: "MaxPool", opset: 7, attributes: { ...window, pads: ints(1, 1, 1, 1) } },
  { op: "MaxPool", opset: 8, attributes: window, outputs: indices },
  { op: "Scatter", opset: 9, input: [3, 3], constants: [int64([1, 2], [2, 0]), float32([1, 2], [8, 9])] },
  { op: "Flatten", opset: 7, attributes: { axis: 2n } },
  { op: "LeakyRelu", opset: 7 },
  { op: "PRelu", opset: 7, constants: [randomTensor([4, 1, 1], 2)] },
  { op: "Gemm", opset: 7, input: [2, 3], constants: [randomTensor([3, 4], 2), randomTensor([4], 3)] },
  { op: "Conv", opset: 7, constants: [randomTensor([2, 4, 3, 3], 2)], attributes: { auto_pad: "SAME_UPPER" } },
  { op: "ConvTranspose", opset: 7, constants: [randomTensor([4, 2, 3, 3], 2)], attributes: { strides: ints(2, 2) } },
  { op: "DepthToSpace", opset: 7, attributes: { blocksize: 2n } },
  { op: "InstanceNormalization", opset: 7, constants: [randomTensor([4], 2), randomTensor([4], 3)] },
  { op: "LRN", opset: 7, attributes: { size: 3n } },
  { op: "ArgMax", opset: 7, attributes: { axis: 1n }, outputs: [["y", "int64"]] },
  { op: "Reshape", opset: 7, constants: [int64([2], [0, -1])] },
  { op: "GridSample", opset: 16, constants: [randomTensor([1, 2, 3, 2], 4)], attributes: { mode: "bilinear" } },
  {
    op: "RoiAlign",
    opset: 11,
    constants: [float32([1, 4], [0, 0, 4, 3]), int64([1], [0])],
    attributes: { output_height: 2n, output_width: 2n, sampling_ratio: 2n },
  },
  {
    op: "GroupNormalization",
    opset: 18,
    constants: [randomTensor([2], 2), randomTensor([2], 3)],
    attributes: { num_groups: 2n },
  },
];

function sampleModel({ op, opset, input = picture, constants = [], attributes, outputs = [["y", "float32"]] }: Sample) {
  const model = buildModel(opset, 7).input("x", input);
  const names = constants.map((_, i) => `c${i}`);
  for (const [i, tensor] of constants.entries()) model.constant(`c${i}`, tensor);
  model.node(
    op,
    ["x", ...names],
    outputs.map(([name]) => name),
    attributes,
  );
  for (const [name, dtype] of outputs) model.output(name, undefined, dtype);
  return { model, feeds: { x: randomTensor(input, 9) } };
}

async function upgradeAndCompare(model: ModelBuilder, feeds: Feeds) {
  const before = model.bytes();
  const upgraded = upgradeOpset(readModel(before));
  const after = writeModel(upgraded.model);
  expect(readModel(after).proto.opsetImport[0]!.version).toBe(21n);
  await expectSameOutputs(before, after, feeds);
  return upgraded;
}

function label({ op, opset, input = picture, attributes = {} }: Sample): string {
  const settings = Object.entries(attributes).map(
    ([name, value]) => `${name} ${typeof value === "object" ? Object.values(value) : value}`,
  );
  return [op, opset, `[${input}]`, ...settings].join(" ");
}

describe("upgradeOpset", () => {
  it.each(samples.map((sample) => [label(sample), sample] as const))("%s", async (_, sample) => {
    const { model, feeds } = sampleModel(sample);
    const { model: upgraded } = await upgradeAndCompare(model, feeds);
    expect(upgraded.proto.irVersion).toBeGreaterThanOrEqual(10n);
  });

  it("writes bounds in the type of the values", async () => {
    const model = buildModel(10).input("x", [4], "float64").node("Clip", ["x"], ["y"], { min: 0.25, max: 0.5 });
    const x: Tensor = { dtype: "float64", dims: [4], data: Float64Array.of(0, 0.3, 0.4, 1) };
    // onnxruntime has no double kernel for the old operator.
    const upgraded = upgradeOpset(model.output("y", undefined, "float64").build());
    const { y } = await runOnnx(writeModel(upgraded.model), { x });
    expect(y!.data).toEqual(Float64Array.of(0.25, 0.3, 0.4, 0.5));
    const half = buildModel(10)
      .input("x", [4])
      .node("Cast", ["x"], ["h"], { to: 10n })
      .node("Clip", ["h"], ["y"], { min: 0 });
    expect(() => upgradeOpset(half.output("y").build())).toThrowError(/"Clip_1": its element type/);
  });

  it("needs no rank for a Softmax", async () => {
    const model = buildModel(11).opset("com.microsoft", 1).input("x", picture);
    model.node("Gelu", ["x"], ["g"], {}, { domain: "com.microsoft" }).node("Softmax", ["g"], ["y"]).output("y");
    const { changes } = await upgradeAndCompare(model, { x: randomTensor(picture, 1) });
    expect(changes.map(({ nodes }) => nodes.length)).toEqual([4, 0]);
  });

  it("tells what it rewrote", async () => {
    const { model, feeds } = sampleModel({ op: "Clip", opset: 10, attributes: { max: 1 } });
    const { changes } = await upgradeAndCompare(model, feeds);
    expect(changes).toEqual([
      { pass: "upgrade-opset", nodes: ["Clip_0"], explanation: "rewrote Clip" },
      { pass: "upgrade-opset", nodes: [], explanation: "operator set 10 to 21" },
    ]);
  });

  it("goes into subgraphs", async () => {
    const model = buildModel(11).input("x", [3, 4]).input("flag", [], "bool");
    const node = makeNode({ opType: "If", name: "if", inputs: ["flag"], outputs: ["y"] });
    for (const name of ["then_branch", "else_branch"]) {
      const inner = `${name}_y`;
      const op = makeNode({
        opType: "ReduceSum",
        name: `${name}_sum`,
        inputs: ["x"],
        outputs: [inner],
        attributes: { axes: [1n] },
      });
      const g = create(GraphProtoSchema, { name, node: [op], output: [valueInfo(inner, undefined, "float32")] });
      node.attribute.push(create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g }));
    }
    const flag = { dtype: "bool", dims: [], data: Uint8Array.of(1) } as const;
    await upgradeAndCompare(model.add(node).output("y"), { x: randomTensor([3, 4], 1), flag });
  });

  it("gives back what is new enough, and leaves the given model as it is", () => {
    const current = buildModel(21).input("x", [2]).node("Relu", ["x"], ["y"]).output("y").build();
    expect(upgradeOpset(current)).toEqual({ model: current, changes: [] });
    const old = sampleModel({ op: "Clip", opset: 10, attributes: { max: 1 } }).model.build();
    const before = writeModel(old);
    upgradeOpset(old);
    expect(writeModel(old)).toEqual(before);
  });

  it("stops at the version asked for", () => {
    const { model } = sampleModel({ op: "ReduceMean", opset: 11, attributes: { axes: [1n] } });
    const upgraded = upgradeOpset(model.build(), 13);
    expect(upgraded.model.proto.opsetImport[0]!.version).toBe(13n);
    expect(upgraded.model.graph.node[0]!.attribute.map(({ name }) => name)).toEqual(["axes"]);
    expect(() => upgradeOpset(model.build(), 99)).toThrowError(/7 to 21/);
  });

  it.each<[string, () => ModelBuilder, RegExp]>([
    [
      "an operator set of the time of explicit broadcasting",
      () => buildModel(6).input("x", [2]).node("Relu", ["x"], ["y"]),
      /too old/,
    ],
    [
      "every node, not only the first",
      () =>
        buildModel(10)
          .input("x", picture)
          .input("scales", [4])
          .node("Resize", ["x", "scales"], ["r"], {}, { name: "grow" })
          .node("Dropout", ["r"], ["y", "mask"], {}, { name: "drop" })
          .node("Cast", ["mask"], ["z"], { to: 1n })
          .output("z"),
      /2 nodes.*"grow": its scales.*"drop": its mask/,
    ],
    [
      "a Resize that grows and shrinks",
      () => sampleModel({ op: "Resize", opset: 10, constants: [float32([4], [1, 1, 2, 0.5])] }).model,
      /grows one axis/,
    ],
    [
      "a BatchNormalization that trains",
      () =>
        sampleModel({
          op: "BatchNormalization",
          opset: 9,
          constants: [1, 2, 3, 4].map((seed) => randomTensor([4], seed, 0.5, 1)),
          outputs: [
            ["y", "float32"],
            ["m", "float32"],
            ["v", "float32"],
          ],
        }).model,
      /training mode/,
    ],
    [
      "functions of the model",
      () => {
        const model = sampleModel({ op: "Relu", opset: 11 }).model;
        model.proto.functions.push(create(FunctionProtoSchema, { name: "helper", domain: "acme" }));
        return model;
      },
      /"helper"/,
    ],
  ])("refuses %s", (_, build, message) => {
    const model = build();
    if (model.graph.output.length === 0) model.output("y");
    expect(() => upgradeOpset(model.build())).toThrowError(message);
  });
});
