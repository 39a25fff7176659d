import { bitsKey } from "../bits-key.js";
import type { Graph } from "../onnx/graph.js";
import type { Quantizer } from "../quantizer.js";
import type { Tensor } from "../tensor.js";

/** Scales and zero points as initializers, each content stored once: zero points repeat in every layer. */
export class StoredConstants {
  readonly #graph: Graph;
  readonly #names = new Map<string, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /**
   * Names of a scale and a zero point for a quantizer per tensor.
   * @param channels - Writes both that many times, as vectors; as scalars when absent.
   */
  scaleAndZeroPoint({ scales, zeroPoints, signed }: Quantizer, channels?: number): [scale: string, zeroPoint: string] {
    if (channels !== undefined) {
      const repeated = new Float32Array(channels).fill(scales[0]!);
      return [this.scales(repeated), this.zeroPoints(new Int32Array(channels).fill(zeroPoints[0]!), signed)];
    }
    return [
      this.#store("scale", { dtype: "float32", dims: [], data: scales }),
      this.#zeroPoint([], zeroPoints, signed),
    ];
  }

  /** Scales as a vector, one for each channel. */
  scales(scales: Float32Array): string {
    return this.#store("scale", { dtype: "float32", dims: [scales.length], data: scales });
  }

  /** Scales in a shape that broadcasts along one axis of a tensor of that rank. */
  broadcastScales(scales: Float32Array, axis: number, rank: number): string {
    const dims = Array.from({ length: rank }, (_, i) => (i === axis ? scales.length : 1));
    return this.#store("scale", { dtype: "float32", dims, data: scales });
  }

  zeroPoints(zeroPoints: Int32Array, signed: boolean): string {
    return this.#zeroPoint([zeroPoints.length], zeroPoints, signed);
  }

  #zeroPoint(dims: readonly number[], values: Int32Array, signed: boolean): string {
    return this.#store(
      "zero_point",
      signed
        ? { dtype: "int8", dims, data: Int8Array.from(values) }
        : { dtype: "uint8", dims, data: Uint8Array.from(values) },
    );
  }

  #store(base: string, tensor: Tensor): string {
    const content = tensor.dtype === "float32" ? bitsKey(tensor.data) : tensor.data.join();
    const key = `${tensor.dtype} [${tensor.dims}] ${content}`;
    let name = this.#names.get(key);
    if (name === undefined) {
      name = this.#graph.addInitializer(base, tensor);
      this.#names.set(key, name);
    }
    return name;
  }
}
