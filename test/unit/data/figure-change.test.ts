import { describe, expect, it } from "vitest";
import { compareFigures, standardErrorOfChange } from "../../../src/data/figure-change.js";
import type { Metric, Scores } from "../../../src/data/metrics/metric.js";
import { perplexity } from "../../../src/data/metrics/perplexity.js";
import { psnr } from "../../../src/data/metrics/psnr.js";
import { rocAuc } from "../../../src/data/metrics/roc-auc.js";
import type { Scored } from "../../../src/data/metrics/scorer.js";
import { studentQuantile } from "../../../src/data/student.js";
import { randomFloats } from "../../support/tensors.js";

function scored(metric: Metric, scores: Scores): Scored {
  return { value: metric.finish(scores), scores, indices: Uint32Array.from(scores.value.keys()) };
}

/** Nearly normal: the sum of twelve uniform numbers. */
function normal(count: number, seed: number): Float64Array {
  const uniform = randomFloats(12 * count, seed, 0, 1);
  return Float64Array.from({ length: count }, (_, i) =>
    uniform.subarray(12 * i, 12 * i + 12).reduce((a, b) => a + b, -6),
  );
}

describe("Student's t", () => {
  // Two-sided 95 % and 99 % points of the tables.
  it.each([
    [0.025, 1, 12.7062],
    [0.025, 9, 2.26216],
    [0.005, 9, 3.24984],
    [0.05, 29, 1.69913],
    [0.025, 199, 1.97196],
  ])("exceeds with the chance %d at %d degrees of freedom %d", (tail, freedom, value) => {
    expect(studentQuantile(tail, freedom)).toBeCloseTo(value, 4);
  });
});

describe("the change of a figure", () => {
  it("is the paired t interval where the figure is a mean of few samples", () => {
    const metric = psnr();
    const [float, shift] = [normal(30, 1).map((v) => 30 + 5 * v), normal(30, 2).map((v) => 0.1 * v - 0.2)];
    const change = compareFigures(
      metric,
      scored(metric, { value: float }),
      scored(metric, { value: float.map((v, i) => v + shift[i]!) }),
    );
    const mean = shift.reduce((a, b) => a + b) / 30;
    const error = Math.sqrt(shift.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 29 / 30);
    expect(change).toMatchObject({ unit: "samples", units: 30 });
    expect(change.difference!.value).toBeCloseTo(mean, 10);
    expect(change.difference!.low).toBeCloseTo(mean - 2.04523 * error, 6);
    expect(change.difference!.high).toBeCloseTo(mean + 2.04523 * error, 6);
  });

  it("counts sequences where samples are their steps", () => {
    // All that differs is the same for the steps of a sequence: 10 sequences of 20 steps say as much as 10 samples.
    const metric = psnr();
    const shift = normal(10, 3);
    const sequences = { of: Int32Array.from({ length: 200 }, (_, i) => Math.floor(i / 20)) };
    const value = new Float64Array(200).fill(30);
    const wholes = { value: Float64Array.from(sequences.of, (s) => 30 + shift[s]!) };
    const steps = compareFigures(metric, scored(metric, { value }), scored(metric, wholes), sequences);
    const tens = compareFigures(
      metric,
      scored(metric, { value: value.slice(0, 10) }),
      scored(metric, { value: shift.map((v) => 30 + v) }),
    );
    expect(steps).toMatchObject({ unit: "sequences", units: 10 });
    expect(steps.difference!.low).toBeCloseTo(tens.difference!.low, 10);
    expect(steps.difference!.high).toBeCloseTo(tens.difference!.high, 10);
  });

  it("holds the truth as often as it says, for figures that are no means", () => {
    // Scores of two classes; the quantized model's have more noise. Areas under curves of normal scores are known: Phi(d / sqrt(2 + s^2)).
    const [runs, count, noise] = [100, 80, 0.7];
    const truth = phi(1.2 / Math.sqrt(2 * (1 + noise ** 2))) - phi(1.2 / Math.sqrt(2));
    let covered = 0;
    for (let run = 0; run < runs; run++) {
      const classes = Float64Array.from({ length: count }, (_, i) => i % 2);
      const value = normal(count, 10 + 2 * run).map((v, i) => v + 1.2 * classes[i]!);
      const more = normal(count, 11 + 2 * run);
      const { difference } = compareFigures(
        rocAuc,
        scored(rocAuc, { value, truth: classes }),
        scored(rocAuc, { value: value.map((v, i) => v + noise * more[i]!), truth: classes }),
      );
      if (difference!.low <= truth && truth <= difference!.high) covered++;
    }
    // 95 of 100, give or take what so few runs can tell.
    expect(covered / runs).toBeGreaterThan(0.89);
    expect(covered / runs).toBeLessThan(1);
  });

  it("turns the kept share round for errors, and bounds it", () => {
    const weight = new Float64Array(60).fill(50);
    const value = normal(60, 4).map((v) => 2 + 0.3 * v);
    const more = normal(60, 5).map((v) => 0.02 + 0.01 * v);
    const change = compareFigures(
      perplexity,
      scored(perplexity, { value, weight }),
      scored(perplexity, { value: value.map((v, i) => v + more[i]!), weight }),
    );
    expect(change.keepRatio!.value).toBeCloseTo(Math.exp(-more.reduce((a, b) => a + b) / 60), 10);
    expect(change.keepRatio!.low).toBeLessThan(change.keepRatio!.value);
    expect(change.keepRatio!.low).toBeGreaterThan(change.keepRatio!.value - 0.01);
  });

  it("tells the figure itself where the float model's is infinite, and nothing from one sequence", () => {
    const metric = psnr({ against: "float" });
    const float = scored(metric, { value: new Float64Array(20).fill(Number.POSITIVE_INFINITY) });
    const quantized = scored(metric, { value: normal(20, 6).map((v) => 30 + v) });
    expect(compareFigures(metric, float, quantized)).toMatchObject({
      difference: null,
      keepRatio: null,
      quantized: { value: quantized.value },
    });
    expect(compareFigures(metric, quantized, quantized, { of: new Int32Array(20) })).toMatchObject({
      difference: null,
      quantized: null,
      units: 1,
    });
  });

  it("of a perplexity has a standard error in its own unit, and the same as all groups give", () => {
    const value = normal(40, 7).map((v) => 2 + 0.3 * v);
    const after = value.map((v, i) => v + 0.05 * (i % 3));
    const weight = new Float64Array(40).fill(9);
    const [float, quantized] = [scored(perplexity, { value, weight }), scored(perplexity, { value: after, weight })];
    const { difference } = compareFigures(perplexity, float, quantized);
    const error = standardErrorOfChange(perplexity, float, quantized);
    expect(studentQuantile(0.025, 39) * error).toBeCloseTo(difference!.high - difference!.value, 10);
    // About that of the mean, times the derivative of exp.
    const nats = standardErrorOfChange({ finish: psnr().finish }, float, quantized);
    expect(error / (nats * quantized.value)).toBeGreaterThan(0.8);
    expect(error / (nats * quantized.value)).toBeLessThan(1.25);
  });
});

/** The normal distribution, by Simpson's rule. */
function phi(x: number): number {
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = 0;
  for (let i = 0; i < 1000; i++) {
    const [a, b] = [(x * i) / 1000, (x * (i + 1)) / 1000];
    sum += ((b - a) / 6) * (density(a) + 4 * density((a + b) / 2) + density(b));
  }
  return 0.5 + sum;
}
