import { type Metric, weightedMean } from "../data/metrics/metric.js";
import { BitwrightError } from "../errors.js";

/** Half the squared distance of a sample's output from the float model's. */
export const squaredError: Metric = {
  name: "squared-error",
  higherIsBetter: false,
  needs: "reference",
  accumulate({ output, reference, samples }) {
    if (reference?.data.length !== output.data.length || output.data.length % samples !== 0) {
      throw new BitwrightError("invalid-data", "the output cannot be compared sample by sample", {
        expected: `[${reference?.dims.join(", ")}], samples first`,
        received: `[${output.dims.join(", ")}]`,
      });
    }
    const each = output.data.length / samples;
    const value = new Float64Array(samples);
    for (let i = 0; i < output.data.length; i++) {
      const difference = Number(output.data[i]) - Number(reference.data[i]);
      value[Math.floor(i / each)]! += 0.5 * difference * difference;
    }
    return { value };
  },
  finish: weightedMean,
};
