import { BitwrightError } from "../../errors.js";
import type { Field } from "../field.js";
import type { Metric } from "./metric.js";

export interface SnrOptions {
  /** What the output is compared with. Default "targets". */
  readonly against?: "targets" | "float";
}

/** Signal-to-noise ratio in decibels: 10 log10(sum of squares of what is right / sum of squared errors), over all samples together, so that silent ones hardly count. */
export function snr({ against = "targets" }: SnrOptions = {}): Metric {
  return {
    name: "snr",
    higherIsBetter: true,
    needs: against === "float" ? "reference" : "targets",
    accumulate({ output, targets, reference, samples }) {
      const right = against === "float" ? reference : targets;
      if (right?.data.length !== output.data.length) {
        throw new BitwrightError("invalid-data", "the output cannot be compared element by element", {
          expected: `${right?.data.length ?? "targets of"} elements`,
          received: `${output.data.length}`,
        });
      }
      const stride = output.data.length / samples;
      const [value, truth] = [new Float64Array(samples), new Float64Array(samples)];
      for (let i = 0; i < output.data.length; i++) {
        const sample = Math.floor(i / stride);
        value[sample]! += (Number(output.data[i]) - Number(right.data[i])) ** 2;
        truth[sample]! += Number(right.data[i]) ** 2;
      }
      return { value, truth };
    },
    finish: ({ value, truth }) => 10 * Math.log10(sum(truth!) / sum(value)),
  };
}

export function parseSnr(field: Field): Metric {
  const { against } = field.object(["name", "output", "against"]);
  return snr({ ...(against.present && { against: against.choice(["targets", "float"]) }) });
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
