import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { BitwrightError } from "../../../src/errors.js";
import { cleanModel } from "../../../src/onnx/clean/index.js";
import { type ModelProto, ModelProtoSchema } from "../../../src/onnx/generated/onnx_pb.js";
import { makeTensor } from "../../../src/onnx/initializer.js";
import { readModel, writeModel } from "../../../src/onnx/model.js";
import { encodeProgram } from "../../../src/onnx/program.js";
import { upgradeOpset } from "../../../src/onnx/upgrade/index.js";
import { buildModel } from "../../support/model-builder.js";
import { int64, randomFloats, randomTensor, scalar } from "../../support/tensors.js";

/** A model in which every clean-up pass and many inference rules have something to do. */
function richModel(): Uint8Array {
  const model = buildModel(12)
    .input("x", ["N", 4, 8, 8])
    .constant("w", randomTensor([6, 4, 3, 3], 1));
  for (const name of ["scale", "shift", "mean", "var"]) model.constant(name, randomTensor([6], 2, 0.5, 1));
  model
    .constant("pads", int64([8], [0, 0, 1, 1, 0, 0, 1, 1]))
    .constant("low", scalar(0))
    .constant("high", scalar(6));
  model
    .node("Pad", ["x", "pads"], ["p"])
    .node("Conv", ["p", "w"], ["c"], { kernel_shape: [3n, 3n], strides: [2n, 2n] });
  model.node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["b"]).node("Relu", ["b"], ["r"]);
  model
    .node("Clip", ["r", "low", "high"], ["k"])
    .node("Identity", ["k"], ["i"])
    .node("Split", ["i"], ["s1", "s2"], { axis: 1n });
  model
    .node("Transpose", ["s1"], ["t1"], { perm: [0n, 2n, 3n, 1n] })
    .node("Transpose", ["t1"], ["t2"], { perm: [0n, 3n, 1n, 2n] });
  model
    .node("Concat", ["t2", "s2"], ["j"], { axis: 1n })
    .node("ReduceMean", ["j"], ["m"], { axes: [2n, 3n], keepdims: 0n });
  model
    .node("Shape", ["m"], ["shape"])
    .constant("zero", int64([], [0]))
    .node("Gather", ["shape", "zero"], ["n"]);
  model
    .node("Unsqueeze", ["n"], ["n1"], { axes: [0n] })
    .node("Constant", [], ["rest"], { value: makeTensor("", int64([2], [3, 2])) });
  model.node("Concat", ["n1", "rest"], ["target"], { axis: 0n }).node("Reshape", ["m", "target"], ["q"]);
  model
    .constant("start", int64([1], [1]))
    .constant("end", int64([1], [3]))
    .constant("axis", int64([1], [1]));
  model.node("Slice", ["q", "start", "end", "axis"], ["l"]).node("Softmax", ["l"], ["y"], { axis: 1n }).output("y");
  return model.bytes();
}

const opTypes = (
  "Conv ConvTranspose Gemm MatMul Reshape Transpose Pad Slice Split Concat Gather Shape Squeeze Unsqueeze Clip Relu MaxPool " +
  "AveragePool ReduceMean Flatten Expand Tile Resize Upsample Range ConstantOfShape Cast Where Dropout TopK GRU Equal Div"
).split(" ");
const integers = [0n, 1n, -1n, 2n, 7n, 2n ** 31n, 2n ** 62n, -(2n ** 63n)];

/** Breaks one thing in a model; `choose(n)` gives a number below n. */
const mutations: readonly ((model: ModelProto, choose: (count: number) => number) => void)[] = [
  ({ graph }, choose) => graph!.node[choose(graph!.node.length)]!.input.pop(),
  ({ graph }, choose) => graph!.node[choose(graph!.node.length)]!.output.shift(),
  ({ graph }, choose) => graph!.node[choose(graph!.node.length)]!.attribute.pop(),
  ({ graph }, choose) =>
    Object.assign(graph!.node[choose(graph!.node.length)]!, { opType: opTypes[choose(opTypes.length)] }),
  ({ graph }, choose) => {
    const attributes = graph!.node.flatMap((node) => node.attribute);
    const attribute = attributes[choose(attributes.length)]!;
    attribute.ints = attribute.ints.map(() => integers[choose(integers.length)]!);
    attribute.type = choose(3) === 0 ? choose(15) : attribute.type;
  },
  ({ graph }, choose) => {
    const { input } = graph!.node[choose(graph!.node.length)]!;
    input[choose(input.length)] = graph!.initializer[choose(graph!.initializer.length)]!.name;
  },
  ({ graph }, choose) => {
    const tensor = graph!.initializer[choose(graph!.initializer.length)]!;
    tensor.rawData = tensor.rawData.map((byte) => (choose(4) === 0 ? choose(256) : byte));
  },
  ({ graph }, choose) => {
    const tensor = graph!.initializer[choose(graph!.initializer.length)]!;
    tensor.dims = choose(2) === 0 ? [1n, ...tensor.dims] : [tensor.dims.reduce((product, dim) => product * dim, 1n)];
  },
  ({ opsetImport }, choose) => Object.assign(opsetImport[0]!, { version: BigInt(choose(23)) }),
];

it("takes broken models to a result or to an error of its own, from reading to encoding", () => {
  const bytes = richModel();
  const outcomes = { result: 0, error: 0 };
  for (let seed = 0; seed < 200; seed++) {
    const numbers = randomFloats(4096, seed, 0, 1).values();
    const choose = (count: number) => Math.floor(numbers.next().value! * count);
    const broken = fromBinary(ModelProtoSchema, bytes);
    for (let i = choose(3); i >= 0; i--) mutations[choose(mutations.length)]!(broken, choose);
    try {
      const model = cleanModel(readModel(toBinary(ModelProtoSchema, broken))).model;
      const upgraded = cleanModel(upgradeOpset(readModel(writeModel(model))).model).model;
      encodeProgram(readModel(writeModel(upgraded)));
      outcomes.result++;
    } catch (error) {
      expect(error, `seed ${seed}`).toBeInstanceOf(BitwrightError);
      expect(["invalid-model", "unsupported-op"], `seed ${seed}`).toContain((error as BitwrightError).code);
      outcomes.error++;
    }
  }
  expect(outcomes.result).toBeGreaterThan(30);
  expect(outcomes.error).toBeGreaterThan(30);
});

it.each([
  ["", "constructor"],
  ["", "__proto__"],
  ["com.microsoft", "toString"],
  ["constructor", "name"],
])("knows nothing of an operator that is named like what every object has: %s.%s", (domain, opType) => {
  const model = buildModel(17).input("x", [2, 2]);
  if (domain !== "") model.opset(domain, 1);
  model.node(opType, ["x"], ["y"], {}, { domain }).node("Relu", ["y"], ["z"]).output("z");
  const { graph } = cleanModel(upgradeOpset(model.build()).model).model;
  expect(graph.node.map((node) => node.opType)).toEqual([opType, "Relu"]);
});
