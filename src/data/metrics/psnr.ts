import { BitwrightError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Field } from "../field.js";
import { type Metric, weightedMean } from "./metric.js";

export interface PsnrOptions {
  /** Value of white. Default 1. */
  readonly peak?: number;
  /** Pixels left out at each edge of a picture. Default 0. */
  readonly border?: number;
  /** Compare only brightness, as ITU-R BT.601 codes it, of [3, height, width] pictures in RGB. Default false. */
  readonly luma?: boolean;
  /** Round outputs to this many levels between 0 and the peak first, as when a picture is stored; 256 for bytes. */
  readonly levels?: number;
  /** What the output is compared with. Default "targets". */
  readonly against?: "targets" | "float";
}

/** Mean over the samples of 10 log10(peak^2 / mean squared error), in decibels. */
export function psnr(options: PsnrOptions = {}): Metric {
  const { peak = 1, border = 0, luma = false, levels, against = "targets" } = options;
  return {
    name: "psnr",
    higherIsBetter: true,
    needs: against === "float" ? "reference" : "targets",
    accumulate({ output, targets, reference, samples }) {
      const truth = against === "float" ? reference : targets;
      const picture = pictureOf(output, truth, samples, border, luma);
      const round = levels === undefined ? (v: number) => v : rounding(levels, peak);
      const value = Float64Array.from({ length: samples }, (_, s) => {
        const difference = (i: number) => round(Number(output.data[i])) - Number(truth!.data[i]);
        const error = luma ? lumaError(picture, s, border, difference) : squaredError(picture, s, border, difference);
        return 10 * Math.log10((peak * peak) / error);
      });
      return { value };
    },
    finish: weightedMean,
  };
}

export function parsePsnr(field: Field): Metric {
  const f = field.object(["name", "output", "peak", "border", "luma", "levels", "against"]);
  return psnr({
    ...(f.peak.present && { peak: f.peak.number() > 0 ? f.peak.number() : f.peak.fail("a positive number") }),
    ...(f.border.present && { border: f.border.integer(0) }),
    ...(f.luma.present && { luma: f.luma.boolean() }),
    ...(f.levels.present && { levels: f.levels.integer(2) }),
    ...(f.against.present && { against: f.against.choice(["targets", "float"]) }),
  });
}

/** A sample as `planes` of [height, width]. */
interface Picture {
  readonly planes: number;
  readonly height: number;
  readonly width: number;
}

function pictureOf(output: Tensor, truth: Tensor | undefined, samples: number, border: number, luma: boolean): Picture {
  const [height, width] = output.dims.length > 2 ? output.dims.slice(-2) : [1, output.data.length / samples];
  const planes = output.data.length / (samples * height! * width!);
  const same = truth?.dims.length === output.dims.length && truth.dims.every((dim, axis) => dim === output.dims[axis]);
  const fits = output.dims[0] === samples && (!luma || planes === 3) && 2 * border < Math.min(height!, width!);
  if (same && (fits || (border === 0 && !luma))) return { planes, height: height!, width: width! };
  throw new BitwrightError("invalid-data", "the output cannot be compared picture by picture", {
    expected: `[${truth?.dims.join(", ") ?? "targets"}]${luma ? " with three channels" : ""}, larger than its border`,
    received: `[${output.dims.join(", ")}]`,
  });
}

function rounding(levels: number, peak: number): (value: number) => number {
  const steps = levels - 1;
  return (value) => (Math.round((Math.min(Math.max(value, 0), peak) / peak) * steps) / steps) * peak;
}

type Difference = (element: number) => number;

function squaredError({ planes, height, width }: Picture, sample: number, border: number, at: Difference): number {
  let sum = 0;
  for (let p = sample * planes; p < (sample + 1) * planes; p++) {
    for (let y = border; y < height - border; y++) {
      for (let x = border; x < width - border; x++) sum += at((p * height + y) * width + x) ** 2;
    }
  }
  return sum / (planes * (height - 2 * border) * (width - 2 * border));
}

// BT.601 for full-range RGB: the offset of 16 is the same on both sides and drops out of a difference.
const lumaWeights = [65.481 / 255, 128.553 / 255, 24.966 / 255] as const;

function lumaError({ height, width }: Picture, sample: number, border: number, at: Difference): number {
  const plane = height * width;
  let sum = 0;
  for (let y = border; y < height - border; y++) {
    for (let x = border; x < width - border; x++) {
      const red = sample * 3 * plane + y * width + x;
      const [r, g, b] = lumaWeights;
      sum += (r * at(red) + g * at(red + plane) + b * at(red + 2 * plane)) ** 2;
    }
  }
  return sum / ((height - 2 * border) * (width - 2 * border));
}
