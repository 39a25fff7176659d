import type { Backend } from "./backend/backend.js";
import { fakeQuantize } from "./backend/kernels.js";
import { dequantizeCodes, dequantizeFloats, quantizeToCodes, quantizeToFloats } from "./export/codes.js";
import { isUniform, type WeightQuantizer } from "./quantizer.js";

/** Widest codes that the engine's kernels take; those of biases are wider, and few. */
const kernelBits = 16;

/**
 * The values that a tensor of shape `dims`, in C order, takes in a quantizer's format. Bit-equal to what onnxruntime makes of the stored one.
 * @throws BitwrightError `invalid-model` for a value that is not finite, in floating formats.
 */
export async function roundTo(
  backend: Backend,
  data: Float32Array,
  dims: readonly number[],
  quantizer: WeightQuantizer,
): Promise<Float32Array> {
  if (!isUniform(quantizer)) return dequantizeFloats(quantizeToFloats(data, dims, quantizer), dims, quantizer);
  return quantizer.bits > kernelBits
    ? dequantizeCodes(quantizeToCodes(data, dims, quantizer), dims, quantizer)
    : await fakeQuantize(backend, data, dims, quantizer);
}
