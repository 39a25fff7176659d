import type { TensorProto } from "../onnx/generated/onnx_pb.js";
import type { WeightQuantizer } from "../quantizer.js";

const kept = new WeakMap<TensorProto, Map<string, WeightQuantizer>>();

/**
 * A quantizer that depends on a stored weight alone, made at the first request and kept as long as the weight: searches lay the same
 * model out again and again.
 * @param key - Distinguishes the weight's quantizers; always of the same type of quantizer.
 */
export function keptQuantizer<Q extends WeightQuantizer>(stored: TensorProto, key: string, make: () => Q): Q {
  const known = kept.get(stored) ?? new Map<string, WeightQuantizer>();
  kept.set(stored, known);
  const quantizer = (known.get(key) as Q | undefined) ?? make();
  known.set(key, quantizer);
  return quantizer;
}
