import type { EngineModel } from "../evaluate/engine-model.js";
import { activationQuantizer } from "../export/activation-quantizer.js";
import type { Range } from "../export/layout.js";

/** Watches tensors over all batches of one pass and ends with a range for each. */
export interface Observer {
  /** Looks at the tensors of the engine's last run. */
  observe(engine: EngineModel, tensors: readonly string[]): Promise<void>;
  ranges(): Map<string, Range>;
}

/** A way to choose the ranges of activations, given the extremes that a first pass found. */
export interface RangeMethod {
  /** undefined when the extremes are the answer. */
  second(extremes: ReadonlyMap<string, Range>): Observer | undefined;
}

/** The extremes themselves: nothing is clipped. */
const minmax: RangeMethod = { second: () => undefined };

const bins = 8192;

/** Leaves out the outermost (1 - share) of the values, half at each end that has any. */
export function percentile(share: number): RangeMethod {
  return {
    second(extremes) {
      const counts = new Map([...extremes].map(([name]) => [name, new Float64Array(bins)]));
      return {
        async observe(engine, tensors) {
          for (const name of tensors) {
            const { min, max } = extremes.get(name)!;
            if (max > min) await engine.graph.histogram(engine.value(name), min, max, counts.get(name)!);
          }
        },
        ranges: () => new Map([...extremes].map(([name, range]) => [name, cut(counts.get(name)!, range, share)])),
      };
    },
  };
}

function cut(counts: Float64Array, { min, max }: Range, share: number): Range {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return { min, max };
  const tail = ((1 - share) * total) / 2;
  const width = (max - min) / bins;
  const outside = (from: number, step: 1 | -1) => {
    let left = tail;
    let i = from;
    while (counts[i]! <= left) {
      left -= counts[i]!;
      i += step;
    }
    return i;
  };
  return { min: min + width * outside(0, 1), max: max - width * (bins - 1 - outside(bins - 1, -1)) };
}

/** Shares of the extremes that are tried as ranges. */
const ratios = Array.from({ length: 33 }, (_, i) => 1 - i / 40);

/** The range, among shrunken copies of the extremes, whose 8-bit quantizer has the least sum of squared errors. */
const mse: RangeMethod = {
  second(extremes) {
    const candidates = new Map(
      [...extremes].map(([name, { min, max }]) => [name, ratios.map((r) => ({ min: min * r, max: max * r }))]),
    );
    const sums = new Map([...extremes].map(([name]) => [name, new Float64Array(ratios.length)]));
    return {
      async observe(engine, tensors) {
        for (const name of tensors) {
          const grids = candidates.get(name)!.map((range) => {
            const { scales, zeroPoints, qmin, qmax } = activationQuantizer(range);
            return { scale: scales[0]!, zeroPoint: zeroPoints[0]!, qmin, qmax };
          });
          await engine.graph.errors(engine.value(name), grids, sums.get(name)!);
        }
      },
      ranges: () =>
        new Map(
          [...candidates].map(([name, ranges]) => {
            const errors = sums.get(name)!;
            return [name, ranges[errors.indexOf(Math.min(...errors))]!];
          }),
        ),
    };
  },
};

/** Ways to choose activation ranges, by the name that `--calibration` takes. */
export const rangeMethods = {
  minmax,
  percentile: percentile(0.9999),
  mse,
} as const satisfies Record<string, RangeMethod>;

export type RangeMethodName = keyof typeof rangeMethods;
