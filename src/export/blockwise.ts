import { create } from "@bufbuild/protobuf";
import { dataTypeCode } from "../onnx/data-types.js";
import { type NodeProto, OperatorSetIdProtoSchema } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { makeLazyTensor } from "../onnx/initializer.js";
import type { OnnxModel } from "../onnx/model.js";
import { makeNode } from "../onnx/node.js";
import type { Tensor, TensorOf } from "../tensor.js";
import { quantizeToCodes } from "./codes.js";
import type { BlockwiseWeight } from "./layout.js";

const domain = "com.microsoft";

/** The product is computed in float32. Higher levels round the activation to 8 bits inside, which no layout tells. */
const accuracyLevel = 1n;

/**
 * Puts onnxruntime's MatMulNBits in the place of a MatMul, or of a Gemm that is a plain product plus bias. It is written rather than the
 * DequantizeLinear that sessions can make it of: they do not where a Relu or a second product follows, or where codes come in.
 */
export class BlockwiseProducts {
  readonly #graph: Graph;
  readonly #packed = new Map<string, PackedWeight>();

  constructor(model: OnnxModel, graph: Graph) {
    this.#graph = graph;
    if (model.proto.opsetImport.some((set) => set.domain === domain)) return;
    model.proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: 1n }));
  }

  /** Replaces a node that reads the weight. */
  replace(node: NodeProto, weight: BlockwiseWeight): void {
    const { bits, granularity } = weight.quantizer;
    const { inputs, outputs, codes, scales, zeroPoints } = this.#pack(weight);
    const [activation = "", , bias = ""] = node.input;
    const product = makeNode({
      opType: "MatMulNBits",
      domain,
      name: node.name,
      inputs: [activation, codes, scales, zeroPoints, ...(bias === "" ? [] : ["", bias])],
      outputs: node.output,
      attributes: {
        K: BigInt(inputs),
        N: BigInt(outputs),
        bits: BigInt(bits),
        block_size: BigInt(granularity.size),
        accuracy_level: accuracyLevel,
      },
    });
    this.#graph.replace(node, product);
  }

  /** Stores a weight, once for all layers that share it. */
  #pack({ initializer, quantizer, storage, values }: BlockwiseWeight): PackedWeight {
    const { bits, scales, zeroPoints } = quantizer;
    const { axis, size } = quantizer.granularity;
    const key = `${initializer}\n${storage} ${axis}`;
    const known = this.#packed.get(key);
    if (known !== undefined) return known;
    const exact = this.#graph.constant(initializer) as TensorOf<"float32">;
    const { dims } = exact;
    const inputs = dims[axis]!;
    const outputs = dims[1 - axis]!;
    const blocks = Math.ceil(inputs / size);
    const rowsOf = <T extends Int32Array | Float32Array>(matrix: T) =>
      axis === 1 ? matrix : transposed(matrix, outputs);
    const packedRows = () => {
      const codes = quantizeToCodes(values ?? exact.data, dims, quantizer);
      return packRows(fillBlocks(rowsOf(codes), rowsOf(zeroPoints), inputs, size), outputs);
    };
    const store = (what: string, shape: readonly number[], bytes: () => Uint8Array) => {
      const name = `${initializer}_${what}`;
      const make = (): Tensor => ({ dtype: "uint8", dims: shape, data: bytes() });
      return this.#graph.addInitializer(name, makeLazyTensor(name, shape, dataTypeCode("uint8"), make));
    };
    const packed: PackedWeight = {
      inputs,
      outputs,
      codes: store(storage, [outputs, blocks, (size * bits) / 8], packedRows),
      scales: this.#graph.addInitializer(`${initializer}_scales`, {
        dtype: "float32",
        dims: [outputs, blocks],
        data: rowsOf(scales),
      }),
      zeroPoints: store("zero_points", [outputs, Math.ceil(blocks / 2)], () => packRows(rowsOf(zeroPoints), outputs)),
    };
    this.#packed.set(key, packed);
    return packed;
  }
}

interface PackedWeight {
  /** Size of what the product sums over, and of what it gives. */
  readonly inputs: number;
  readonly outputs: number;
  /** Names of initializers. */
  readonly codes: string;
  readonly scales: string;
  readonly zeroPoints: string;
}

/** Rows of `length` codes, each filled up to whole blocks with what stands for zero in the last one. */
function fillBlocks(codes: Int32Array, zeroPoints: Int32Array, length: number, size: number): Int32Array {
  const blocks = Math.ceil(length / size);
  if (blocks * size === length) return codes;
  const rows = codes.length / length;
  const filled = new Int32Array(rows * blocks * size);
  for (let row = 0; row < rows; row++) {
    filled.fill(zeroPoints[(row + 1) * blocks - 1]!, row * blocks * size, (row + 1) * blocks * size);
    filled.set(codes.subarray(row * length, (row + 1) * length), row * blocks * size);
  }
  return filled;
}

/** Packs 4-bit codes two a byte, the first in the low half, each row on its own. */
function packRows(codes: Int32Array, rows: number): Uint8Array {
  const length = codes.length / rows;
  const bytes = Math.ceil(length / 2);
  const packed = new Uint8Array(rows * bytes);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < length; column++) {
      packed[row * bytes + (column >> 1)]! |= codes[row * length + column]! << (column % 2 === 0 ? 0 : 4);
    }
  }
  return packed;
}

/** A matrix of so many columns with its rows and columns exchanged. */
function transposed<T extends Int32Array | Float32Array>(matrix: T, columns: number): T {
  const rows = matrix.length / columns;
  const result = matrix.slice() as T;
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) result[column * rows + row] = matrix[row * columns + column]!;
  }
  return result;
}
