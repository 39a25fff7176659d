import { describe, expect, it } from "vitest";
import { ops } from "../../../src/backend/info.js";
import type { AttributeValue } from "../../../src/onnx/attributes.js";
import { TensorProto_DataType as Code } from "../../../src/onnx/generated/onnx_pb.js";
import { Graph } from "../../../src/onnx/graph.js";
import { tensorOf } from "../../../src/onnx/infer/content.js";
import { inferFacts, typeRules } from "../../../src/onnx/infer/facts.js";
import { makeTensor } from "../../../src/onnx/initializer.js";
import type { Dim } from "../../../src/onnx/value-types.js";
import { elementCount, type Feeds, type Tensor } from "../../../src/tensor.js";
import { backend } from "../../support/backends.js";
import { expectClose } from "../../support/clean-oracle.js";
import { type Dim as BuiltDim, buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { directModel, isFloat, opCase } from "../../support/op-samples.js";
import { float32, int64, randomTensor } from "../../support/tensors.js";

type Attributes = Record<string, AttributeValue>;

interface Sample {
  readonly op: string;
  readonly opset?: number;
  /** Inputs given at run time, then constants. */
  readonly inputs: readonly (readonly number[])[];
  readonly constants?: readonly Tensor[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
}

const ints = (...values: number[]) => values.map(BigInt);
const bytes = (...values: number[]): Tensor => ({
  dtype: "bool",
  dims: [values.length],
  data: Uint8Array.from(values),
});

const int32 = (...values: number[]): Tensor => ({
  dtype: "int32",
  dims: [values.length],
  data: Int32Array.from(values),
});
const uint8 = (dims: readonly number[], ...values: number[]): Tensor => ({
  dtype: "uint8",
  dims,
  data: Uint8Array.from(values),
});

/** The engine's own samples of operators are held to their rules as well. */
const samples: readonly Sample[] = [
  { op: "Relu", inputs: [[2, 3]] },
  {
    op: "Add",
    inputs: [
      [2, 1, 4],
      [3, 1],
    ],
  },
  { op: "Sum", inputs: [[2, 1], [1, 3], [1]] },
  { op: "Equal", inputs: [[2, 1], [3]] },
  { op: "Where", inputs: [], constants: [bytes(1, 0), float32([2, 1], [1, 2]), float32([1], [3])] },
  {
    op: "Conv",
    inputs: [
      [1, 3, 9, 8],
      [4, 3, 3, 2],
    ],
    attributes: { pads: ints(1, 0, 2, 1), strides: ints(2, 1) },
  },
  {
    op: "Conv",
    inputs: [
      [1, 4, 9, 9],
      [4, 1, 3, 3],
    ],
    attributes: { group: 4n, dilations: ints(2, 2) },
  },
  {
    op: "Conv",
    inputs: [
      [1, 3, 9, 8],
      [4, 3, 3, 3],
    ],
    attributes: { auto_pad: "SAME_UPPER", strides: ints(2, 2) },
  },
  {
    op: "Conv",
    inputs: [
      [1, 3, 9, 8],
      [4, 3, 3, 3],
    ],
    attributes: { auto_pad: "VALID", strides: ints(2, 2) },
  },
  {
    op: "Conv",
    inputs: [
      [2, 3, 9],
      [4, 3, 3],
    ],
  },
  {
    op: "ConvTranspose",
    inputs: [
      [1, 4, 5, 6],
      [4, 3, 3, 3],
    ],
    attributes: { strides: ints(2, 2), pads: ints(1, 1, 1, 1), output_padding: ints(1, 1), group: 2n },
  },
  {
    op: "ConvTranspose",
    inputs: [
      [1, 4, 5, 6],
      [4, 3, 3, 3],
    ],
    attributes: { strides: ints(2, 2), auto_pad: "SAME_UPPER" },
  },
  {
    op: "MaxPool",
    inputs: [[1, 2, 7, 8]],
    attributes: { kernel_shape: ints(3, 3), strides: ints(2, 2), ceil_mode: 1n },
  },
  {
    op: "MaxPool",
    inputs: [[1, 2, 6, 6]],
    attributes: { kernel_shape: ints(2, 2), strides: ints(3, 3), ceil_mode: 1n, pads: ints(0, 0, 1, 1) },
  },
  {
    op: "MaxPool",
    inputs: [[1, 2, 7, 8]],
    attributes: { kernel_shape: ints(2, 2), dilations: ints(2, 2) },
    outputs: 2,
  },
  { op: "AveragePool", inputs: [[1, 2, 7, 8]], attributes: { kernel_shape: ints(3, 3), pads: ints(1, 1, 1, 1) } },
  { op: "GlobalAveragePool", inputs: [[2, 3, 4, 5]] },
  {
    op: "Gemm",
    inputs: [
      [4, 2],
      [3, 4],
    ],
    attributes: { transA: 1n, transB: 1n },
  },
  {
    op: "MatMul",
    inputs: [
      [2, 1, 3, 4],
      [5, 4, 6],
    ],
  },
  { op: "MatMul", inputs: [[4], [5, 4, 6]] },
  { op: "MatMul", inputs: [[2, 4], [4]] },
  { op: "BatchNormalization", inputs: [[1, 2, 3], [2], [2], [2], [2]] },
  { op: "Softmax", inputs: [[2, 3]] },
  { op: "Reshape", inputs: [[2, 3, 4]], constants: [int64([3], [0, -1, 2])] },
  { op: "Reshape", inputs: [[2, 3, 4]], constants: [int64([2], [6, 4])] },
  { op: "Flatten", inputs: [[2, 3, 4]], attributes: { axis: 2n } },
  { op: "Flatten", inputs: [[2, 3, 4]], attributes: { axis: -1n } },
  { op: "Flatten", inputs: [[2, 3, 4]], attributes: { axis: 3n } },
  { op: "Transpose", inputs: [[2, 3, 4]] },
  { op: "Transpose", inputs: [[2, 3, 4]], attributes: { perm: ints(1, 2, 0) } },
  { op: "Squeeze", inputs: [[1, 3, 1]] },
  { op: "Squeeze", inputs: [[1, 3, 1]], constants: [int64([1], [-1])] },
  { op: "Squeeze", opset: 11, inputs: [[1, 3, 1]], attributes: { axes: ints(0) } },
  { op: "Unsqueeze", inputs: [[3, 4]], constants: [int64([2], [0, -1])] },
  { op: "Unsqueeze", opset: 11, inputs: [[3, 4]], attributes: { axes: ints(1) } },
  {
    op: "Concat",
    inputs: [
      [2, 3],
      [2, 1],
      [2, 4],
    ],
    attributes: { axis: -1n },
  },
  { op: "Split", inputs: [[5, 6]], constants: [int64([2], [2, 4])], attributes: { axis: 1n }, outputs: 2 },
  { op: "Split", inputs: [[6, 5]], outputs: 3 },
  { op: "Split", opset: 18, inputs: [[7, 5]], attributes: { num_outputs: 3n }, outputs: 3 },
  { op: "Split", opset: 11, inputs: [[5]], attributes: { split: ints(2, 3) }, outputs: 2 },
  {
    op: "Slice",
    inputs: [[7, 8, 9]],
    constants: [int64([3], [-1, 1, 2]), int64([3], [-100, 6, 100]), int64([3], [0, 1, 2]), int64([3], [-2, 2, 3])],
  },
  { op: "Slice", inputs: [[7, 8]], constants: [int64([1], [3]), int64([1], [2])] },
  { op: "Slice", opset: 9, inputs: [[7, 8]], attributes: { starts: ints(1), ends: ints(-1), axes: ints(1) } },
  { op: "Gather", inputs: [[4, 5, 6]], constants: [int64([2, 2], [0, 1, -1, 2])], attributes: { axis: 1n } },
  { op: "Gather", inputs: [[4, 5]], constants: [int64([], [2])] },
  { op: "Pad", inputs: [[2, 3]], constants: [int64([4], [1, 0, 2, 3])] },
  { op: "Pad", opset: 18, inputs: [[2, 3]], constants: [int64([2], [1, 4]), float32([], [0]), int64([1], [-1])] },
  { op: "Pad", opset: 10, inputs: [[2, 3]], attributes: { pads: ints(1, 0, 0, 2) } },
  { op: "Expand", inputs: [[3, 1]], constants: [int64([3], [2, 1, 4])] },
  { op: "Tile", inputs: [[2, 3]], constants: [int64([2], [3, 2])] },
  {
    op: "Resize",
    inputs: [[1, 1, 3, 5]],
    constants: [float32([0], []), float32([4], [1, 1, 2, 1.7])],
    attributes: { mode: "nearest" },
  },
  {
    op: "Resize",
    inputs: [[1, 1, 10, 20]],
    constants: [float32([0], []), float32([4], [1, 1, 0.9, 0.7])],
    attributes: { mode: "nearest" },
  },
  {
    op: "Resize",
    inputs: [[1, 1, 3, 5]],
    constants: [float32([0], []), float32([0], []), int64([4], [1, 1, 7, 8])],
    attributes: { mode: "linear" },
  },
  { op: "DepthToSpace", inputs: [[1, 8, 2, 3]], attributes: { blocksize: 2n } },
  { op: "SpaceToDepth", inputs: [[1, 2, 4, 6]], attributes: { blocksize: 2n } },
  { op: "Shape", inputs: [[2, 3, 4]] },
  { op: "Shape", inputs: [[2, 3, 4]], attributes: { start: -2n, end: 7n } },
  { op: "Size", inputs: [[2, 3, 4]] },
  {
    op: "ConstantOfShape",
    inputs: [],
    constants: [int64([2], [2, 3])],
    attributes: { value: makeTensor("", int64([1], [7])) },
  },
  { op: "ConstantOfShape", inputs: [], constants: [int64([1], [3])] },
  { op: "Range", inputs: [], constants: [int64([], [7]), int64([], [-2]), int64([], [-2])] },
  { op: "TopK", inputs: [[2, 5]], constants: [int64([1], [3])], outputs: 2 },
  { op: "ReduceMean", inputs: [[2, 3, 4]], attributes: { axes: ints(0, -1) } },
  { op: "ReduceMean", inputs: [[2, 3, 4]], attributes: { axes: ints(1), keepdims: 0n } },
  { op: "ReduceMean", opset: 18, inputs: [[2, 3, 4]], constants: [int64([1], [2])], attributes: { keepdims: 0n } },
  { op: "ReduceSum", inputs: [[2, 3]], attributes: { keepdims: 0n } },
  { op: "ReduceSum", inputs: [[2, 3]], constants: [int64([0], [])], attributes: { noop_with_empty_axes: 1n } },
  { op: "ArgMax", inputs: [[2, 3, 4]], attributes: { axis: 1n, keepdims: 0n } },
  { op: "ArgMax", inputs: [[2, 3, 4]], attributes: { axis: -1n } },
  { op: "GatherElements", inputs: [[2, 3]], constants: [int64([1, 3], [0, 1, 0])] },
  { op: "NonZero", inputs: [[2, 3]] },
  { op: "NonZero", inputs: [[]] },
  {
    op: "Einsum",
    inputs: [
      [2, 1],
      [2, 3],
    ],
    attributes: { equation: "ij,ij->ij" },
  },
  { op: "Cast", inputs: [[2, 3]], attributes: { to: BigInt(Code.INT32) } },
  { op: "QuantizeLinear", inputs: [[2, 3]], constants: [float32([], [0.1])] },
  { op: "DequantizeLinear", inputs: [], constants: [uint8([2, 3], 1, 2, 3, 4, 5, 6), float32([], [0.1])] },
  {
    op: "Scatter",
    opset: 10,
    inputs: [[3, 4]],
    constants: [int64([1, 2], [0, 2]), float32([1, 2], [5, 6])],
  },
  { op: "BitwiseNot", opset: 18, inputs: [], constants: [int32(1, 6)] },
  { op: "BitwiseAnd", opset: 18, inputs: [], constants: [int32(1, 6), int32(3)] },
  { op: "BitwiseOr", opset: 18, inputs: [], constants: [int32(1, 6), int32(3)] },
  { op: "BitwiseXor", opset: 18, inputs: [], constants: [int32(1, 6), int32(3)] },
  {
    op: "BitShift",
    inputs: [],
    constants: [uint8([2, 1], 1, 6), uint8([3], 1, 2, 3)],
    attributes: { direction: "LEFT" },
  },
  {
    op: "GRU",
    inputs: [
      [5, 2, 3],
      [1, 12, 3],
      [1, 12, 4],
    ],
    attributes: { hidden_size: 4n },
    outputs: 2,
  },
  {
    op: "LSTM",
    inputs: [
      [5, 2, 3],
      [1, 16, 3],
      [1, 16, 4],
    ],
    attributes: { hidden_size: 4n },
    outputs: 3,
  },
];

/** The sample as a model whose inputs have the given dimensions, and values to feed it. */
function sampleModel(sample: Sample, dims: readonly (readonly BuiltDim[])[]): { model: ModelBuilder; feeds: Feeds } {
  const model = buildModel(sample.opset ?? 17);
  const feeds: Record<string, Tensor> = {};
  dims.forEach((shape, i) => {
    model.input(`x${i}`, shape);
    feeds[`x${i}`] = randomTensor(sample.inputs[i]!, i + 1, 0.1, 1);
  });
  const constants = sample.constants ?? [];
  for (const [i, tensor] of constants.entries()) model.constant(`c${i}`, tensor);
  const names = [...dims.map((_, i) => `x${i}`), ...constants.map((_, i) => `c${i}`)];
  const outputs = Array.from({ length: sample.outputs ?? 1 }, (_, i) => `y${i}`);
  model.node(sample.op, names, outputs, sample.attributes);
  return { model, feeds };
}

function factsOf(model: ModelBuilder) {
  return inferFacts(new Graph(model.build()));
}

function label({ op, inputs, attributes }: Sample): string {
  const settings = Object.entries(attributes ?? {}).map(
    ([name, value]) => `${name} ${typeof value === "object" ? Object.values(value) : value}`,
  );
  return [op, ...inputs.map((dims) => `[${dims}]`), ...settings].join(" ");
}

const codes: Partial<Record<string, number>> = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 };

describe("inferFacts", () => {
  it.each(samples.map((sample) => [label(sample), sample] as const))("%s", async (_, sample) => {
    const { model, feeds } = sampleModel(sample, sample.inputs);
    const outputs = Array.from({ length: sample.outputs ?? 1 }, (_, i) => `y${i}`);
    const facts = factsOf(model);
    // Declared in a copy only, so that the inference above had nothing to read them from.
    const { model: declared } = sampleModel(sample, sample.inputs);
    for (const name of outputs) {
      declared.output(name, undefined, dtypeOf(facts.get(name)!.dataType));
    }
    const results = await runOnnx(declared.bytes(), feeds);
    for (const name of outputs) {
      const { dataType, dims, content } = facts.get(name)!;
      const result = results[name]!;
      expect(dataType).toBe(codes[result.dtype]);
      expect(dims?.length).toBe(result.dims.length);
      // A size that depends on the values stays open; all others must be found.
      const open = sample.op === "NonZero" ? [1] : [];
      expect(dims).toEqual(result.dims.map((dim, axis) => (open.includes(axis) ? undefined : dim)));
      if (content !== undefined) expect(tensorOf(content)).toEqual(result);
    }
  });

  it.each(samples.filter(({ inputs }) => inputs.length > 0).map((sample) => [label(sample), sample] as const))(
    "claims nothing false with dynamic sizes: %s",
    (_, sample) => {
      const known = factsOf(sampleModel(sample, sample.inputs).model);
      const named = sampleModel(
        sample,
        sample.inputs.map((dims) => dims.map((dim) => (dim === 1 ? 1 : `size${dim}`))),
      );
      const unknown = sampleModel(
        sample,
        sample.inputs.map((dims) => dims.map(() => null)),
      );
      for (const { model } of [named, unknown]) {
        for (const [name, { dims }] of factsOf(model)) {
          if (!name.startsWith("y") || dims === undefined) continue;
          const sizes = known.get(name)!.dims!;
          expect(dims).toHaveLength(sizes.length);
          dims.forEach((dim: Dim, axis) => {
            if (typeof dim === "number") expect(dim).toBe(sizes[axis]);
            if (typeof dim === "string") expect(dim).toBe(`size${sizes[axis]}`);
          });
        }
      }
    },
  );

  it("has a sample of every rule", () => {
    const known = new Set([
      ...rows.map(({ domain, type }) => `${domain}.${type}`),
      ...samples.map(({ op }) => `.${op}`),
    ]);
    const rules = Object.entries(typeRules).flatMap(([domain, own]) => Object.keys(own).map((op) => `${domain}.${op}`));
    expect(rules.filter((rule) => !known.has(rule))).toEqual([]);
  });

  it("does not believe sizes that a file notes for inner values", () => {
    const model = buildModel(17).input("x", ["N", 3]).node("Relu", ["x"], ["a"]).node("Foo", ["a"], ["b"]);
    model.valueInfo("a", [1, 3]).valueInfo("b", [1, 3]).node("Shape", ["b"], ["y"]).output("y");
    const facts = factsOf(model);
    expect(facts.get("a")!.dims).toEqual(["N", 3]);
    expect(facts.get("b")).toEqual({ dataType: Code.FLOAT, dims: [undefined, undefined] });
    expect(facts.get("y")!.content!.data).toEqual([undefined, undefined]);
  });

  it("follows sizes by name through shape arithmetic", () => {
    const model = buildModel(17).input("x", ["N", "T", 8]);
    model
      .constant("zero", int64([], [0]))
      .constant("one", int64([1], [1]))
      .constant("axis", int64([1], [0]));
    model.constant("rest", int64([2], [2, 4])).constant("minus", int64([1], [-1]));
    model
      .node("Shape", ["x"], ["shape"])
      .node("Gather", ["shape", "zero"], ["n"])
      .node("Unsqueeze", ["n", "axis"], ["n1"]);
    model.node("Mul", ["n1", "one"], ["same"]).node("Equal", ["same", "minus"], ["isMinus"]);
    model.node("Where", ["isMinus", "one", "same"], ["chosen"]);
    model
      .node("Concat", ["chosen", "minus", "rest"], ["target"], { axis: 0n })
      .node("Reshape", ["x", "target"], ["y"])
      .output("y");
    const facts = factsOf(model);
    expect(facts.get("chosen")!.content!.data).toEqual(["N"]);
    expect(facts.get("y")!.dims).toEqual(["N", "T", 2, 4]);
  });
});

/** Rules that leave something open in some of their samples; what they do say has to be true. */
const mayBeOpen = new Set([
  // How many boxes it keeps.
  "NonMaxSuppression",
  // Its numbers in attributes, which the clean-up makes tensors.
  "Constant",
  // Axes behind an ellipsis.
  "Einsum",
  // As many as there are.
  "NonZero",
  // Attributes of opsets that are upgraded before.
  ...["TopK", "Upsample"],
  // Sizes that keep a ratio, or of some axes.
  "Resize",
]);

/** Operators of the engine with a rule. */
const rows = ops(backend).filter(({ domain, type }) => typeRules[domain]?.[type] !== undefined);

describe.each(rows.map((row) => ({ ...row, name: `${row.domain} ${row.type} since ${row.since}` })))(
  "inferFacts of the engine's samples of $name",
  (row) => {
    it.each(row.samples.map((_, i) => opCase(row, i)))("$title", async (op) => {
      const feeds = Object.fromEntries(
        op.inputs.flatMap((input) => (input === null || input.constant ? [] : [[input.name, input.tensor] as const])),
      );
      const results = await runOnnx(directModel(op, false).bytes(), feeds);
      // Sizes may follow from the values of integers; those of floats decide nothing.
      const inputs = op.inputs.map(
        (input) => input && { ...input, constant: input.constant || !isFloat(input.tensor) },
      );
      const facts = factsOf(directModel({ ...op, inputs }, false));
      for (const [o, name] of op.outputs.entries()) {
        const { dataType, dims, content } = facts.get(name)!;
        const result = results[name]!;
        // Masks, statistics and what is kept for the next step need no rule.
        const open = o > 0 || mayBeOpen.has(row.type);
        if (!open || dataType !== 0) expect(dataType).toBe(codes[result.dtype]);
        if (!open) expect(dims).toEqual(result.dims);
        if (dims !== undefined) expect(dims).toEqual(result.dims.map((size, axis) => dims[axis] && size));
        if (content !== undefined) expect(tensorOf(content)).toEqual(result);
      }
    });
  },
);

function dtypeOf(dataType: number) {
  const found = Object.entries(codes).find(([, code]) => code === dataType);
  return (found?.[0] ?? "float32") as Tensor["dtype"];
}

describe("arithmetic on constants", () => {
  const a = float32([2, 3], [1.5, -2, 0, 3e30, 1e-40, -0.1]);
  const b = float32([3], [0.3, -7, 1e-9]);
  const i = int64([2, 2], [7, -7, 2 ** 40, 5]);
  const j = int64([2], [2, -3]);
  const i32: Tensor = { dtype: "int32", dims: [3], data: Int32Array.of(2147483647, -2147483648, 7) };
  const j32: Tensor = { dtype: "int32", dims: [3], data: Int32Array.of(2, 1, -2) };
  const mask: Tensor = { dtype: "bool", dims: [2, 1], data: Uint8Array.of(1, 0) };
  const cast = (to: number): Attributes => ({ to: BigInt(to) });

  it.each<[string, readonly Tensor[], Attributes?]>([
    ...["Add", "Sub", "Mul", "Div"].flatMap((op): [string, Tensor[]][] => [
      [op, [a, b]],
      [op, [i, j]],
      [op, [i32, j32]],
    ]),
    ...["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"].map((op): [string, Tensor[]] => [op, [i, j]]),
    ["And", [mask, mask]],
    ["Or", [mask, bytes(0)]],
    ["Not", [mask]],
    ["Neg", [a]],
    ["Neg", [i]],
    ["Abs", [i]],
    ["Sqrt", [float32([3], [2, 3, 1e-30])]],
    ["Floor", [a]],
    ["Ceil", [a]],
    ["Where", [mask, i, j]],
    ["ReduceProd", [j]],
    ["Identity", [a]],
    ["Cast", [float32([4], [1.9, -1.9, 0, 100])], cast(Code.INT32)],
    ["Cast", [float32([2], [1.5, -0.5])], cast(Code.BOOL)],
    ["Cast", [i], cast(Code.FLOAT)],
    ["Cast", [i], cast(Code.INT32)],
    ["Cast", [mask], cast(Code.INT64)],
    ["Transpose", [a], { perm: ints(1, 0) }],
    ["Expand", [b, int64([3], [2, 1, 3])]],
    ["Tile", [a, int64([2], [2, 2])]],
    ["Gather", [a, int64([2], [-1, 0])], { axis: 1n }],
    ["Concat", [a, a], { axis: 1n }],
    ["Concat", [i, i], { axis: 0n }],
    ["Slice", [a, int64([2], [1, 2]), int64([2], [-3, -4]), int64([2], [0, 1]), int64([2], [-1, -2])]],
    ["Unsqueeze", [b, int64([1], [0])]],
    ["Reshape", [a, int64([1], [-1])]],
    ["Flatten", [a], { axis: 0n }],
  ])("%s", async (op, constants, attributes = {}) => {
    const names = constants.map((_, at) => `c${at}`);
    const build = () => {
      const model = buildModel(17);
      for (const [at, tensor] of constants.entries()) model.constant(names[at]!, tensor);
      return model.node(op, names, ["y"], attributes);
    };
    const fact = factsOf(build()).get("y")!;
    const { y } = await runOnnx(build().output("y", undefined, dtypeOf(fact.dataType)).bytes(), {});
    const computed = tensorOf(fact.content!)!;
    expect(computed).toEqual(y);
    expectClose(computed, y!);
  });

  it.each<[string, string, readonly Tensor[], Attributes?]>([
    ["division by zero", "Div", [int64([1], [1]), int64([1], [0])]],
    ["a float beyond the integers of a type", "Cast", [float32([1], [1e20])], cast(Code.INT32)],
    ["NaN as an integer", "Cast", [float32([1], [Number.NaN])], cast(Code.INT64)],
    ["a type that would be widened", "Cast", [float32([1], [0.1])], cast(Code.FLOAT16)],
    ["an operator that machines round differently", "Exp", [float32([1], [0.1])]],
    ["a random operator", "RandomNormalLike", [float32([1], [0.1])]],
  ])("leaves %s to the engine", (_, op, constants, attributes = {}) => {
    const model = buildModel(17);
    for (const [at, tensor] of constants.entries()) model.constant(`c${at}`, tensor);
    model.node(
      op,
      constants.map((_, at) => `c${at}`),
      ["y"],
      attributes,
    );
    const content = factsOf(model).get("y")?.content;
    expect(content && tensorOf(content)).toBeUndefined();
  });

  it("does not work out long contents", () => {
    const model = buildModel(17)
      .constant("shape", int64([2], [1e6, 1e6]))
      .node("ConstantOfShape", ["shape"], ["y"])
      .output("y");
    const fact = factsOf(model).get("y")!;
    expect(elementCount(fact.dims as number[])).toBe(1e12);
    expect(fact.content).toBeUndefined();
  });
});
