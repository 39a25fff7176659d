import { bitsKey } from "../bits-key.js";
import { formats } from "../formats.js";
import type { AttributeValue } from "../onnx/attributes.js";
import { TensorProto_DataType } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { makeLazyTensor, readTensor } from "../onnx/initializer.js";
import { makeNode } from "../onnx/node.js";
import { tensorDims } from "../onnx/tensor-proto.js";
import { isUniform } from "../quantizer.js";
import type { Tensor, TensorOf } from "../tensor.js";
import { quantizeToCodes, quantizeToFloats } from "./codes.js";
import type { BiasLayout, TypedWeight } from "./layout.js";
import type { NarrowBits } from "./narrow-floats.js";
import type { StoredConstants } from "./stored-constants.js";

/** The tensor type that holds each format in the file. */
const storedTypes: Readonly<Record<TypedWeight["storage"], TensorProto_DataType>> = {
  fp16: TensorProto_DataType.FLOAT16,
  bf16: TensorProto_DataType.BFLOAT16,
  int16: TensorProto_DataType.INT16,
  fp8e4m3: TensorProto_DataType.FLOAT8E4M3FN,
  fp8e5m2: TensorProto_DataType.FLOAT8E5M2,
  int8: TensorProto_DataType.INT8,
  int4: TensorProto_DataType.INT4,
};

/** Writes weights and biases as initializers of fewer bits and the nodes that make floats of them. */
export class StoredWeights {
  readonly #graph: Graph;
  readonly #constants: StoredConstants;
  readonly #written = new Map<string, string>();

  constructor(graph: Graph, constants: StoredConstants) {
    this.#graph = graph;
    this.#constants = constants;
  }

  /** Writes a weight, once for all layers that share it, and returns the name of its dequantized value. */
  weight(layout: TypedWeight): string {
    const key = `${layout.initializer}\n${layout.storage} ${layout.kernel} ${bitsKey(layout.quantizer.scales)}`;
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const name = layout.kernel === "integer" ? this.#forIntegerKernel(layout) : this.#forFloatKernel(layout);
    this.#written.set(key, name);
    return name;
  }

  /**
   * Fused kernels know int8 weights only. The Cast of 4-bit codes has constant input, so sessions compute it once at load, before
   * they look for the pattern to fuse.
   */
  #forIntegerKernel(layout: TypedWeight): string {
    const { initializer, quantizer, storage } = layout;
    const codes = this.#codes(layout);
    const int8 = storage === "int8" ? codes : this.#cast(codes, `${initializer}_int8`, TensorProto_DataType.INT8);
    // Left out, the zero point would mean the same, but QGemm is fused only where it is written.
    const zeroPoints = this.#constants.zeroPoints(new Int32Array(quantizer.scales.length), true);
    return this.#dequantize(initializer, [int8, this.#constants.scales(quantizer.scales), zeroPoints], axisOf(layout));
  }

  /** Cast and Mul, not DequantizeLinear: sessions fold them into a plain float weight at load, and a DequantizeLinear on every run. */
  #forFloatKernel(layout: TypedWeight): string {
    const { initializer, quantizer, storage } = layout;
    const dims = this.#dims(initializer);
    const cast = this.#cast(this.#codes(layout), `${initializer}_float`, TensorProto_DataType.FLOAT);
    if (!formats[storage].scaled) return cast;
    const scales = this.#constants.broadcastScales(quantizer.scales, axisOf(layout), dims.length);
    return this.#node("Mul", [cast, scales], `${initializer}_dequantized`);
  }

  /** Writes a bias, as int32 where it has a quantizer, and returns the name of its value. */
  bias({ initializer, values, quantizer }: BiasLayout): string {
    const dims = this.#dims(initializer);
    if (quantizer === undefined) {
      return this.#graph.addInitializer(`${initializer}_corrected`, { dtype: "float32", dims, data: values });
    }
    const codes = quantizeToCodes(values, dims, quantizer);
    const name = this.#graph.addInitializer(`${initializer}_int32`, { dtype: "int32", dims, data: codes });
    return this.#dequantize(initializer, [name, this.#constants.scales(quantizer.scales)], dims.length - 1);
  }

  #codes(layout: TypedWeight): string {
    const { initializer, quantizer, storage } = layout;
    // Gone from the graph when the codes are asked for.
    const exact = this.#graph.initializer(initializer)!;
    const dims = tensorDims(exact);
    const base = `${initializer}_${storage}`;
    const codes = () => {
      const { codes } = layout;
      if (codes !== undefined) return integerTensor(dims, codes, storage);
      const data = layout.values ?? (readTensor(exact) as TensorOf<"float32">).data;
      return isUniform(quantizer)
        ? integerTensor(dims, quantizeToCodes(data, dims, quantizer), storage)
        : bitsTensor(dims, quantizeToFloats(data, dims, quantizer));
    };
    return this.#graph.addInitializer(base, makeLazyTensor(base, dims, storedTypes[storage], codes));
  }

  #dims(initializer: string): number[] {
    return tensorDims(this.#graph.initializer(initializer)!);
  }

  #cast(input: string, base: string, to: TensorProto_DataType): string {
    return this.#node("Cast", [input], base, { to: BigInt(to) });
  }

  #dequantize(base: string, inputs: readonly string[], axis: number): string {
    return this.#node("DequantizeLinear", inputs, `${base}_dequantized`, { axis: BigInt(axis) });
  }

  #node(
    opType: string,
    inputs: readonly string[],
    base: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    const output = this.#graph.uniqueName(base);
    this.#graph.insert(makeNode({ opType, name: output, inputs, outputs: [output], attributes }));
    return output;
  }
}

function axisOf({ quantizer: { granularity } }: TypedWeight): number {
  return granularity.kind === "channel" ? granularity.axis : 0;
}

function integerTensor(
  dims: readonly number[],
  codes: Int32Array | Int8Array,
  storage: TypedWeight["storage"],
): Tensor {
  return storage === "int16"
    ? { dtype: "int16", dims, data: Int16Array.from(codes) }
    : { dtype: "int8", dims, data: Int8Array.from(codes) };
}

function bitsTensor(dims: readonly number[], data: NarrowBits): Tensor {
  return data instanceof Uint16Array ? { dtype: "uint16", dims, data } : { dtype: "uint8", dims, data };
}
