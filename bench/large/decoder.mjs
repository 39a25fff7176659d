// A decoder of LLaMA's kind with weights that are made as they are written: of any size, on a machine of any memory, the same bytes every time.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { dataTypeCode } from "../../dist/onnx/data-types.js";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from "../../dist/onnx/generated/onnx_pb.js";
import { makeLazyTensor, makeTensor } from "../../dist/onnx/initializer.js";
import { writeModelFile } from "../../dist/onnx/model-node.js";
import { makeNode } from "../../dist/onnx/node.js";
import { elementCount } from "../../dist/tensor.js";

/** A billion parameters. */
export const billion = { layers: 17, width: 2048, hidden: 5632, heads: 32, vocabulary: 32000, sequence: 32 };

/**
 * @param {typeof billion} sizes
 * @returns {number}
 */
export function parameterCount({ layers, width, hidden, vocabulary }) {
  return layers * (4 * width * width + 3 * width * hidden + 2 * width) + 2 * vocabulary * width + width;
}

/**
 * Writes `model.onnx`, its data file and a data set of random tokens, `dataset.json`, into a folder.
 * @param {string} folder
 * @param {typeof billion} sizes
 * @param {number} samples
 */
export async function writeDecoder(folder, sizes, samples) {
  mkdirSync(folder, { recursive: true });
  const model = join(folder, "model.onnx");
  await writeModelFile(decoder(sizes), model, { externalAbove: 0 });
  const token = (i) => Math.floor(uniform(1, i) * sizes.vocabulary);
  const lines = Array.from({ length: samples }, (_, n) =>
    JSON.stringify(Array.from({ length: sizes.sequence }, (_, i) => token(n * sizes.sequence + i))),
  );
  writeFileSync(join(folder, "tokens.jsonl"), `${lines.join("\n")}\n`);
  const third = Math.floor(samples / 3);
  const manifest = {
    inputs: { input_ids: { file: "tokens.jsonl" } },
    labels: { nextOf: "input_ids" },
    metric: "perplexity",
    splits: { calibration: [0, third], search: [third, 2 * third], verify: [2 * third, samples] },
  };
  writeFileSync(join(folder, "dataset.json"), JSON.stringify(manifest, null, 2));
  return { model, dataset: join(folder, "dataset.json") };
}

function decoder({ layers, width, hidden, heads, vocabulary, sequence }) {
  const builder = new Builder();
  const size = width / heads;
  builder.integers("heads_shape", [0, 0, heads, size]);
  builder.integers("joined_shape", [0, 0, width]);
  builder.floats("epsilon", [], () => 1e-5);
  builder.floats("minus_one", [], () => -1);
  builder.floats("head_scale", [], () => 1 / Math.sqrt(size));
  builder.floats("causal_mask", [1, 1, sequence, sequence], (i) =>
    i % sequence > Math.floor(i / sequence) ? -1e9 : 0,
  );
  const angle = (i) => Math.floor(i / size) / 10000 ** ((2 * (i % (size / 2))) / size);
  builder.floats("cos", [1, 1, sequence, size], (i) => Math.cos(angle(i)));
  builder.floats("sin", [1, 1, sequence, size], (i) => Math.sin(angle(i)));
  for (const [name, value] of [
    ["begin", 0],
    ["middle", size / 2],
    ["end", size],
    ["last_axis", 3],
  ])
    builder.integers(name, [value]);

  const { op } = builder;
  const norm = (x, name) => {
    builder.floats(name, [width], () => 1);
    const mean = op("ReduceMean", [op("Mul", [x, x])], { axes: [-1n], keepdims: 1n });
    const length = op("Sqrt", [op("Add", [mean, "epsilon"])]);
    return op("Mul", [op("Div", [x, length]), name]);
  };
  const product = (x, name, rows, columns) => {
    builder.weight(name, [rows, columns], 1 / Math.sqrt(rows));
    return op("MatMul", [x, name], {}, name);
  };
  const headsOf = (x) => op("Transpose", [op("Reshape", [x, "heads_shape"])], { perm: [0n, 2n, 1n, 3n] });
  const rotated = (x) => {
    const low = op("Slice", [x, "begin", "middle", "last_axis"]);
    const high = op("Slice", [x, "middle", "end", "last_axis"]);
    const turned = op("Concat", [op("Mul", [high, "minus_one"]), low], { axis: -1n });
    return op("Add", [op("Mul", [x, "cos"]), op("Mul", [turned, "sin"])]);
  };

  builder.weight("embedding", [vocabulary, width], 1);
  let x = op("Gather", ["embedding", "input_ids"], { axis: 0n });
  for (let l = 0; l < layers; l++) {
    const name = (part) => `layer${l}.${part}`;
    const before = norm(x, name("attention_norm"));
    const [q, k, v] = ["q", "k", "v"].map((part) => headsOf(product(before, name(part), width, width)));
    const keys = op("Transpose", [rotated(k)], { perm: [0n, 1n, 3n, 2n] });
    const scores = op("Add", [op("Mul", [op("MatMul", [rotated(q), keys]), "head_scale"]), "causal_mask"]);
    const mixed = op("MatMul", [op("Softmax", [scores], { axis: -1n }), v]);
    const joined = op("Reshape", [op("Transpose", [mixed], { perm: [0n, 2n, 1n, 3n] }), "joined_shape"]);
    x = op("Add", [x, product(joined, name("o"), width, width)]);
    const between = norm(x, name("mlp_norm"));
    const gate = product(between, name("gate"), width, hidden);
    const silu = op("Mul", [gate, op("Sigmoid", [gate])]);
    const inner = op("Mul", [silu, product(between, name("up"), width, hidden)]);
    x = op("Add", [x, product(inner, name("down"), hidden, width)]);
  }
  const logits = product(norm(x, "final_norm"), "lm_head", width, vocabulary);
  return builder.model(["N", sequence], logits, ["N", sequence, vocabulary]);
}

class Builder {
  #graph = create(GraphProtoSchema, { name: "decoder" });
  #seed = 2;
  #values = 0;

  op = (opType, inputs, attributes = {}, name = `${opType}_${this.#values}`) => {
    const output = `value_${this.#values++}`;
    this.#graph.node.push(makeNode({ opType, name, inputs, outputs: [output], attributes }));
    return output;
  };

  integers(name, values) {
    const data = BigInt64Array.from(values, BigInt);
    this.#graph.initializer.push(makeTensor(name, { dtype: "int64", dims: [data.length], data }));
  }

  floats(name, dims, at) {
    const data = Float32Array.from({ length: elementCount(dims) }, (_, i) => at(i));
    this.#graph.initializer.push(makeTensor(name, { dtype: "float32", dims, data }));
  }

  /** Bell-shaped, each element by its index alone. */
  weight(name, dims, deviation) {
    const seed = this.#seed++;
    const make = () => ({ dtype: "float32", dims, data: bellShaped(seed, elementCount(dims), deviation) });
    this.#graph.initializer.push(makeLazyTensor(name, dims, dataTypeCode("float32"), make));
  }

  model(inputDims, output, outputDims) {
    this.#graph.input.push(valueInfo("input_ids", inputDims, "int64"));
    this.#graph.output.push(valueInfo(output, outputDims, "float32"));
    const proto = create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: "bitwright-bench",
      graph: this.#graph,
      opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: 17n })],
    });
    return { proto, graph: proto.graph };
  }
}

function valueInfo(name, dims, dtype) {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === "number" ? { case: "dimValue", value: BigInt(size) } : { case: "dimParam", value: size },
    }),
  );
  const value = { elemType: dataTypeCode(dtype), shape: { dim } };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value } } });
}

/** The sum of four 16-bit numbers that two hashes of the counter hold, centred and scaled. */
function bellShaped(seed, count, deviation) {
  const data = new Float32Array(count);
  const scale = deviation / (65536 * Math.sqrt(4 / 12));
  for (let i = 0; i < count; i++) {
    const a = hash(seed, 2 * i);
    const b = hash(seed, 2 * i + 1);
    data[i] = ((a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16) - 131070) * scale;
  }
  return data;
}

function uniform(seed, counter) {
  return (hash(seed, counter) >>> 0) / 2 ** 32;
}

function hash(seed, counter) {
  let h = Math.imul(counter, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return h ^ (h >>> 15);
}
