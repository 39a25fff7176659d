import { create } from "@bufbuild/protobuf";
import { dataTypeCode } from "../onnx/data-types.js";
import { type NodeProto, OperatorSetIdProtoSchema } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { makeLazyTensor, readTensor } from "../onnx/initializer.js";
import type { OnnxModel } from "../onnx/model.js";
import { makeNode } from "../onnx/node.js";
import { tensorDims } from "../onnx/tensor-proto.js";
import type { Quantizer } from "../quantizer.js";
import type { Tensor, TensorOf } from "../tensor.js";
import { quantizeToCodes } from "./codes.js";
import type { PackedWeight } from "./layout.js";
import { transposed } from "./transposed.js";

const domain = "com.microsoft";

/** The product is computed in float32. Higher levels round the activation to 8 bits inside, which no layout tells. */
const accuracyLevel = 1n;

/**
 * Puts onnxruntime's MatMulNBits in the place of a MatMul, or of a Gemm that is a plain product plus bias, and GatherBlockQuantized in the place of a
 * Gather. They are written rather than the DequantizeLinear that sessions can make MatMulNBits of: they do not where a Relu or a second product follows,
 * or where codes come in; and of a Gather they make nothing.
 */
export class PackedWeights {
  readonly #graph: Graph;
  readonly #packed = new Map<string, Packed>();

  constructor(model: OnnxModel, graph: Graph) {
    this.#graph = graph;
    if (model.proto.opsetImport.some((set) => set.domain === domain)) return;
    model.proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: 1n }));
  }

  /** Replaces a node that reads the weight. */
  replace(node: NodeProto, weight: PackedWeight): void {
    this.#graph.replace(node, node.opType === "Gather" ? this.#rows(node, weight) : this.#product(node, weight));
  }

  #product(node: NodeProto, weight: PackedWeight): NodeProto {
    const packed = this.#pack(weight);
    const { bits, inputs, outputs, scales, zeroPoints, size } = packed;
    const [activation = "", , bias = ""] = node.input;
    return makeNode({
      opType: "MatMulNBits",
      domain,
      name: node.name,
      inputs: [activation, this.#blocks(packed), scales, zeroPoints!, ...(bias === "" ? [] : ["", bias])],
      outputs: node.output,
      attributes: {
        K: BigInt(inputs),
        N: BigInt(outputs),
        bits: BigInt(bits),
        block_size: BigInt(size),
        accuracy_level: accuracyLevel,
      },
    });
  }

  #rows(node: NodeProto, weight: PackedWeight): NodeProto {
    const { bits, codes, scales, zeroPoints, size } = this.#pack(weight);
    return makeNode({
      opType: "GatherBlockQuantized",
      domain,
      name: node.name,
      inputs: [codes, node.input[1]!, scales, ...(zeroPoints === undefined ? [] : [zeroPoints])],
      outputs: node.output,
      attributes: { bits: BigInt(bits), block_size: BigInt(size), gather_axis: 0n, quantize_axis: 1n },
    });
  }

  /** Stores a weight, once for all layers that share it. */
  #pack(layout: PackedWeight): Packed {
    const { initializer, quantizer, storage } = layout;
    const { scales } = quantizer;
    // Gone from the graph when the codes are asked for.
    const exact = this.#graph.initializer(initializer)!;
    const dims = tensorDims(exact);
    const { axis, size } = blocksOf(quantizer, dims);
    const bits = quantizer.bits as 4 | 8;
    const key = `${initializer}\n${storage} ${axis}`;
    const known = this.#packed.get(key);
    if (known !== undefined) return known;
    const inputs = dims[axis]!;
    const outputs = dims[1 - axis]!;
    const blocks = Math.ceil(inputs / size);
    // Packed codes are unsigned.
    const shift = quantizer.signed ? 2 ** (bits - 1) : 0;
    const shifted = (integers: Int32Array) => (shift === 0 ? integers : integers.map((integer) => integer + shift));
    const rowsOf = <T extends Int32Array | Float32Array>(matrix: T) =>
      axis === 1 ? matrix : transposed(matrix, outputs);
    const zeroPoints = rowsOf(shifted(quantizer.zeroPoints));
    const isTable = this.#graph.uses(initializer).some(({ node }) => node.opType === "Gather");
    const codes = () => {
      const data = layout.values ?? (readTensor(exact) as TensorOf<"float32">).data;
      const rows = rowsOf(shifted(quantizeToCodes(data, dims, quantizer)));
      return isTable ? rows : fillBlocks(rows, zeroPoints, inputs, size);
    };
    const store = (what: string, columns: number, integers: () => Int32Array) => {
      const name = `${initializer}_${what}`;
      const shape = [outputs, Math.ceil((columns * bits) / 8)];
      const make = (): Tensor => ({ dtype: "uint8", dims: shape, data: packRows(integers(), outputs, bits) });
      return this.#graph.addInitializer(name, makeLazyTensor(name, shape, dataTypeCode("uint8"), make));
    };
    const packed: Packed = {
      inputs,
      outputs,
      bits,
      size,
      isTable,
      codes: store(storage, isTable ? inputs : blocks * size, codes),
      scales: this.#graph.addInitializer(`${initializer}_scales`, {
        dtype: "float32",
        dims: [outputs, blocks],
        data: rowsOf(scales),
      }),
      zeroPoints: shift === 0 ? store("zero_points", blocks, () => zeroPoints) : undefined,
    };
    this.#packed.set(key, packed);
    return packed;
  }

  /** The codes with an axis for the blocks, as products take them. Those of a table lie in rows, and sessions reshape them once, at load. */
  #blocks({ codes, inputs, outputs, size, bits, isTable }: Packed): string {
    const dims = [outputs, Math.ceil(inputs / size), (size * bits) / 8];
    if (!isTable) {
      this.#graph.initializer(codes)!.dims = dims.map(BigInt);
      return codes;
    }
    const output = this.#graph.uniqueName(`${codes}_blocks`);
    const shape = this.#graph.addInitializer(`${codes}_shape`, {
      dtype: "int64",
      dims: [3],
      data: BigInt64Array.from(dims, BigInt),
    });
    this.#graph.insert(makeNode({ opType: "Reshape", name: output, inputs: [codes, shape], outputs: [output] }));
    return output;
  }
}

interface Packed {
  /** Size of what a product sums over, or of a table's row; and how many of them there are. */
  readonly inputs: number;
  readonly outputs: number;
  readonly bits: 4 | 8;
  /** Elements of a block. */
  readonly size: number;
  /** Whether rows are stored without what would fill up their last blocks. */
  readonly isTable: boolean;
  /** Names of initializers. */
  readonly codes: string;
  readonly scales: string;
  /** Absent where it is the middle of the codes, as operators take it to be. */
  readonly zeroPoints: string | undefined;
}

/** Operators know blocks of such sizes: a row is one that is not filled. */
const smallestBlock = 16;

function blocksOf(
  { granularity }: Quantizer,
  dims: readonly number[],
): { readonly axis: number; readonly size: number } {
  if (granularity.kind === "block") return granularity;
  return { axis: 1, size: Math.max(smallestBlock, 2 ** Math.ceil(Math.log2(dims[1]!))) };
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

/** Packs codes into bytes, the first of a byte in its low bits, each row on its own. */
function packRows(codes: Int32Array, rows: number, bits: 4 | 8): Uint8Array {
  const length = codes.length / rows;
  const perByte = 8 / bits;
  const bytes = Math.ceil(length / perByte);
  const packed = new Uint8Array(rows * bytes);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < length; column++) {
      packed[row * bytes + Math.floor(column / perByte)]! |=
        codes[row * length + column]! << (bits * (column % perByte));
    }
  }
  return packed;
}
