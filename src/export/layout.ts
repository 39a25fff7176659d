import type { BlockedFormat, PackedFormat, WeightFormat } from "../formats.js";
import type { Quantizer, WeightQuantizer } from "../quantizer.js";

/** Smallest and largest value that a tensor takes. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * What every node of a quantized model reads: the single truth that the exporter writes and the engine simulates. Replacing each
 * listed weight and bias by its fake-quantized values, for all its readers, and fake-quantizing what each listed edge reads, gives the
 * exported model's function up to rounding; everything that is not listed is the float model's own.
 */
export interface Layout {
  readonly target: string;
  readonly weights: readonly WeightLayout[];
  readonly biases: readonly BiasLayout[];
  readonly edges: readonly EdgeLayout[];
  /** Initializers that are not stored: the file has another one's transpose for each, made at load. */
  readonly copies?: readonly StoredCopy[];
}

/** A transposed copy of an initializer. Where the one has a layout, the other has the same. */
export interface StoredCopy {
  readonly initializer: string;
  readonly of: string;
}

/** A layer whose weight is stored in another format than the model's own. */
export type WeightLayout = TypedWeight | PackedWeight;

interface StoredWeight {
  readonly node: string;
  readonly port: number;
  readonly initializer: string;
  /** What is stored: values on the quantizer's grid. Absent when each element takes the grid's nearest. */
  readonly values?: Float32Array;
}

/** A weight that the file holds as a tensor of an ONNX type. */
export interface TypedWeight extends StoredWeight {
  readonly quantizer: WeightQuantizer;
  /** What the file holds. */
  readonly storage: Exclude<WeightFormat, BlockedFormat>;
  /** The codes of the values, where they are known: a file needs nothing else. */
  readonly codes?: Int8Array;
  /** Whether the engine multiplies the stored codes, or the float values that it makes of what is stored once, at load. */
  readonly kernel: "integer" | "float";
}

/**
 * A weight whose codes are packed with a scale for each block: dequantized block by block inside a product with a float activation, or row by row as a
 * table is read. Tables have formats with one scale for each row too.
 */
export interface PackedWeight extends StoredWeight {
  readonly quantizer: Quantizer;
  readonly storage: PackedFormat;
  readonly kernel: "blockwise";
}

/** What multiplies a layer's weight. */
export type Kernel = WeightLayout["kernel"];

/** A bias that is not stored as the float model has it. */
export interface BiasLayout {
  /** The node that reads it, which is not the layer when the bias is an Add behind it. */
  readonly node: string;
  readonly port: number;
  readonly initializer: string;
  /** The bias, with what the weight's rounding shifts the output by taken off. */
  readonly values: Float32Array;
  /** To int32, in units of input scale times weight scale; absent for a float kernel, which takes floats. */
  readonly quantizer?: Quantizer;
}

/** A read of a quantized tensor. All edges of one tensor carry the same quantizer. */
export interface EdgeLayout {
  /** The node that reads; undefined for an output of the graph. */
  readonly node: string | undefined;
  /** Input of the node, or index among the graph's outputs. */
  readonly port: number;
  readonly tensor: string;
  readonly quantizer: Quantizer;
  /** Dequantize with one scale for each channel: keeps the engine from taking a float layer for an integer one. */
  readonly dequantizePerChannel?: ChannelAxis;
  /** Quantize with one scale for each channel: keeps the engine from moving the quantization in front of the operator before it. */
  readonly quantizePerChannel?: ChannelAxis;
}

/** Channels along an axis. The scale of an edge, written once for each of them, means the same as written once. */
export interface ChannelAxis {
  readonly axis: number;
  readonly size: number;
}
