import { create, toBinary } from "@bufbuild/protobuf";
import { dequantizeCodes, dequantizeFloats, quantizeToCodes, quantizeToFloats } from "../../../src/export/codes.js";
import type { Layout, Range } from "../../../src/export/layout.js";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
} from "../../../src/onnx/generated/onnx_pb.js";
import { readTensor } from "../../../src/onnx/initializer.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { isUniform, type WeightQuantizer } from "../../../src/quantizer.js";
import type { Feeds, Tensor } from "../../../src/tensor.js";
import { valueInfo } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";

/** All values of a model's run, computed node by node in onnxruntime, with every read seen (and changed) by `read`. */
async function runNodes(
  model: OnnxModel,
  feeds: Feeds,
  read: (value: Tensor, name: string, node: string, port: number) => Tensor,
): Promise<Map<string, Tensor>> {
  const values = new Map<string, Tensor>(Object.entries(feeds));
  for (const initializer of model.graph.initializer) values.set(initializer.name, readTensor(initializer));
  for (const node of model.graph.node) {
    const inputs = node.input.flatMap((name, port) =>
      name === "" ? [] : [[`in${port}`, read(values.get(name)!, name, node.name, port)] as const],
    );
    const outputs = await runOnnx(singleNode(model, node, inputs), Object.fromEntries(inputs));
    for (const [i, name] of node.output.entries()) values.set(name, outputs[`out${i}`]!);
  }
  return values;
}

function singleNode(model: OnnxModel, node: NodeProto, inputs: readonly (readonly [string, Tensor])[]): Uint8Array {
  const proto = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [create(OperatorSetIdProtoSchema, model.proto.opsetImport[0]!)],
    graph: create(GraphProtoSchema, {
      name: node.name,
      node: [
        {
          ...node,
          input: node.input.map((name, port) => (name === "" ? "" : `in${port}`)),
          output: node.output.map((_, i) => `out${i}`),
        },
      ],
      input: inputs.map(([name, { dims, dtype }]) => valueInfo(name, dims, dtype)),
      output: node.output.map((_, i) => valueInfo(`out${i}`, undefined, "float32")),
    }),
  });
  return toBinary(ModelProtoSchema, proto);
}

/** The float model with the layout's fake quantization at every place it lists: the definition of what a layout means. */
export async function simulate(model: OnnxModel, layout: Layout, feeds: Feeds): Promise<Map<string, Tensor>> {
  const quantizers = new Map<string, WeightQuantizer>();
  const stored = new Map(layout.weights.map(({ initializer, quantizer }) => [initializer, quantizer]));
  for (const { node, port, quantizer } of layout.biases) quantizers.set(`${node} ${port}`, quantizer);
  for (const { node, port, quantizer } of layout.edges)
    if (node !== undefined) quantizers.set(`${node} ${port}`, quantizer);
  const values = await runNodes(model, feeds, (value, name, node, port) => {
    const quantizer = stored.get(name) ?? quantizers.get(`${node} ${port}`);
    return quantizer === undefined ? value : fakeQuantize(value, quantizer);
  });
  for (const { node, tensor, quantizer } of layout.edges) {
    if (node === undefined) values.set(tensor, fakeQuantize(values.get(tensor)!, quantizer));
  }
  return values;
}

function fakeQuantize({ dims, data }: Tensor, quantizer: WeightQuantizer): Tensor {
  const values = data as Float32Array;
  const rounded = isUniform(quantizer)
    ? dequantizeCodes(quantizeToCodes(values, dims, quantizer), dims, quantizer)
    : dequantizeFloats(quantizeToFloats(values, dims, quantizer), dims, quantizer);
  return { dtype: "float32", dims, data: rounded };
}

/** Range of every float value of a run. */
export async function observeRanges(model: OnnxModel, feeds: Feeds): Promise<Map<string, Range>> {
  const values = await runNodes(model, feeds, (value) => value);
  const ranges = new Map<string, Range>();
  for (const [name, { dtype, data }] of values) {
    if (dtype !== "float32") continue;
    const numbers = data as Float32Array;
    ranges.set(name, { min: numbers.reduce((a, b) => Math.min(a, b)), max: numbers.reduce((a, b) => Math.max(a, b)) });
  }
  return ranges;
}
