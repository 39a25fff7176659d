import type { Variance } from "../backend/graph-types.js";
import { eachStretch } from "../export/codes.js";
import { type Format, formats } from "../formats.js";
import { isUniform, type WeightQuantizer } from "../quantizer.js";
import type { SensitivityContext, WeightSite } from "./criterion.js";

/**
 * Rounding as independent noise: uniform within a step, so its variance is step^2 / 12. Steps of an integer are its scale; those of a floating-point
 * number with m bits of mantissa are at most 2^-m |x|.
 * @param group - Index of the scale.
 */
export function noiseVariance(quantizer: WeightQuantizer, group = 0): Variance {
  if (isUniform(quantizer)) return { constant: quantizer.scales[group]! ** 2 / 12, relative: 0 };
  return { constant: 0, relative: 2 ** (-2 * formats[quantizer.format].mantissaBits) / 12 };
}

/** The variance of each element of a weight. */
export function weightNoise(
  { weight }: Pick<SensitivityContext, "weight">,
  site: WeightSite,
  format: Format,
): Float32Array {
  const { data, dims } = weight(site);
  const quantizer = site.quantizers.get(format)!;
  const variances = new Float32Array(data.length);
  eachStretch(dims, quantizer.granularity, (begin, end, first, step) => {
    for (let i = begin, group = first; i < end; i++, group += step) {
      const { constant, relative } = noiseVariance(quantizer, group);
      variances[i] = constant + relative * data[i]! * data[i]!;
    }
  });
  return variances;
}
