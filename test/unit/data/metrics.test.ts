import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Field } from "../../../src/data/field.js";
import { customMetric } from "../../../src/data/metrics/custom.js";
import { parseMetric } from "../../../src/data/metrics/index.js";
import { loadMetric } from "../../../src/data/metrics/load-node.js";
import type { Metric } from "../../../src/data/metrics/metric.js";
import { createScorer } from "../../../src/data/metrics/scorer.js";
import type { Tensor } from "../../../src/tensor.js";

const metric = (choice: unknown) => parseMetric(new Field("dataset.json", "metric", choice), true);

const f32 = (dims: number[], ...values: number[]): Tensor => ({
  dtype: "float32",
  dims,
  data: Float32Array.from(values),
});

interface Case {
  output: Tensor;
  reference?: Tensor;
  labels?: number[];
  targets?: Tensor;
}

/** Scores one batch through the same door as an evaluation. */
function judge(choice: unknown, { output, reference, labels, targets }: Case) {
  const scorer = createScorer(
    typeof choice === "object" && "accumulate" in choice! ? (choice as Metric) : metric(choice),
  );
  const indices = Uint32Array.from({ length: output.dims[0]! }, (_, i) => i);
  const batch = {
    indices,
    places: indices,
    feeds: {},
    ...(labels && { labels: Int32Array.from(labels) }),
    ...(targets && { targets }),
  };
  scorer.add(batch, { y: output }, reference && { y: reference });
  return scorer.result();
}

describe("top1 and topk", () => {
  const output = f32([3, 4], 1, 5, 2, 3, 9, 1, 1, 8, 0, 0, 0, 0);

  it("count the labels among the highest scores", () => {
    expect(judge("top1", { output, labels: [1, 3, 0] })).toMatchObject({
      value: 2 / 3,
      scores: { correct: Uint8Array.of(1, 0, 1) },
    });
    expect(judge({ name: "topk", k: 2 }, { output, labels: [2, 3, 1] }).value).toBeCloseTo(2 / 3, 15);
    expect(judge({ name: "topk", k: 3 }, { output, labels: [2, 1, 3] }).value).toBeCloseTo(2 / 3, 15);
    expect(judge("top5", { output, labels: [2, 1, 3] }).value).toBe(1);
  });

  it("give no credit for scores that are all equal, or not numbers", () => {
    const flat = f32([4, 4], ...new Array(16).fill(0.25));
    expect(judge("top1", { output: flat, labels: [0, 1, 2, 3] }).value).toBe(0.25);
    const broken = f32([2, 2], Number.NaN, 1, 1, Number.NaN);
    expect(judge("top1", { output: broken, labels: [0, 0] }).value).toBe(0);
    expect(judge("agreement", { output: broken, reference: broken }).value).toBe(0);
    expect(judge("accuracy", { output: broken, labels: [0, 0] }).value).toBe(0);
  });

  it("read classes behind a pooling, and positions of sequences", () => {
    expect(judge("top1", { output: f32([2, 2, 1, 1], 0, 1, 1, 0), labels: [1, 1] }).value).toBe(0.5);
    const { value, scores } = judge("top1", { output: f32([2, 2, 2], 0, 1, 1, 0, 1, 0, 0, 1), labels: [1, 1, 0, -1] });
    expect(value).toBeCloseTo(2 / 3, 15);
    expect(scores.correct).toBeUndefined();
  });

  it.each([
    ["a label that the model has no class for", { output, labels: [0, 1, 4] }, /labels below 4; received 4.*offset/],
    ["another number of labels", { output, labels: [0, 1] }, /expected 3 labels; received 2/],
    [
      "integers for scores",
      { output: { dtype: "int32", dims: [1, 2], data: Int32Array.of(1, 2) } as Tensor, labels: [0] },
      /floating-point/,
    ],
  ])("refuse %s", (_, batch, message) => {
    expect(() => judge("top1", batch)).toThrow(message);
  });
});

describe("comparison with the float model", () => {
  it("agreement counts equal classes", () => {
    const output = f32([2, 3], 0, 1, 2, 3, 2, 1);
    const reference = f32([2, 3], 5, 6, 7, 1, 2, 0);
    expect(judge("agreement", { output, reference })).toMatchObject({
      value: 0.5,
      scores: { correct: Uint8Array.of(1, 0) },
    });
  });

  it("kl is the sum of p log(p / q)", () => {
    const [p, q] = [
      [0.7, 0.2, 0.1],
      [0.5, 0.25, 0.25],
    ];
    const expected = p.reduce((sum, v, i) => sum + v * Math.log(v / q[i]!), 0);
    const logits = {
      output: f32([1, 3], ...q.map(Math.log)),
      reference: f32([1, 3], ...p.map((v) => Math.log(v) + 40)),
    };
    expect(judge("kl", logits).value).toBeCloseTo(expected, 5);
    const probabilities = { output: f32([1, 3], ...q), reference: f32([1, 3], ...p) };
    expect(judge({ name: "kl", from: "probabilities" }, probabilities).value).toBeCloseTo(expected, 6);
  });

  it("kl neither overflows on large logits nor is infinite where a probability is zero", () => {
    const far = { output: f32([1, 2], 1e4, 0), reference: f32([1, 2], 1e4, 0) };
    expect(judge("kl", far).value).toBe(0);
    const zero = { output: f32([1, 2], 1, 0), reference: f32([1, 2], 0.5, 0.5) };
    expect(judge({ name: "kl", from: "probabilities" }, zero).value).toBeGreaterThan(40);
  });

  it("leaves padding out where the labels mark it", () => {
    const output = f32([1, 2, 2], 0, 1, 0, 9);
    const reference = f32([1, 2, 2], 0, 1, 9, 0);
    expect(judge("agreement", { output, reference, labels: [1, -1] }).value).toBe(1);
    expect(judge("kl", { output, reference, labels: [1, -1] }).value).toBe(0);
  });

  it("refuses outputs of another shape", () => {
    expect(() => judge("kl", { output: f32([1, 2], 0, 1), reference: f32([1, 3], 0, 1, 2) })).toThrow(
      /1 rows of 2; received 1 rows of 3/,
    );
    expect(() => judge("kl", { output: f32([1, 2], 0, 1) })).toThrow(/received nothing/);
  });
});

describe("cross-entropy and perplexity", () => {
  it("average over tokens, not over samples", () => {
    const logs = [0.5, 0.5, 0.1, 0.9, 0.25, 0.75, 0.5, 0.5].map(Math.log);
    const batch = { output: f32([2, 2, 2], ...logs), labels: [0, 1, 0, -1] };
    const expected = -(Math.log(0.5) + Math.log(0.9) + Math.log(0.25)) / 3;
    expect(judge("cross-entropy", batch).value).toBeCloseTo(expected, 6);
    expect(judge("perplexity", batch).value).toBeCloseTo(Math.exp(expected), 5);
  });
});

describe("accuracy and f1", () => {
  it("decide a single score by its threshold", () => {
    const output = f32([4, 1], 0.5, 0.4, 0.9, 0.1);
    expect(judge("accuracy", { output, labels: [1, 1, 1, 0] }).value).toBe(0.75);
    expect(judge({ name: "accuracy", threshold: 0.3 }, { output, labels: [1, 1, 1, 0] }).value).toBe(1);
  });

  it("f1 balances precision and recall of the positive class", () => {
    // Predicted 1 1 1 0 0, true 1 0 1 1 0: two hits, one false alarm, one miss.
    const output = f32([5, 1], 1, 1, 1, 0, 0);
    expect(judge("f1", { output, labels: [1, 0, 1, 1, 0] })).toMatchObject({
      value: (2 * 2) / (2 * 2 + 1 + 1),
      scores: { correct: Uint8Array.of(1, 0, 1, 0, 1) },
    });
    expect(judge({ name: "f1", positive: 0 }, { output, labels: [1, 0, 1, 1, 0] }).value).toBe(2 / (2 + 1 + 1));
  });

  it("f1 averages over the classes that occur", () => {
    // Predicted 0 1 2 2, true 0 1 1 2: F1 is 1, 2/3 and 2/3; class 3 neither occurs nor counts.
    const output = f32([4, 4], 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0);
    expect(judge({ name: "f1", average: "macro" }, { output, labels: [0, 1, 1, 2] }).value).toBeCloseTo(
      (1 + 2 / 3 + 2 / 3) / 3,
      15,
    );
  });
});

describe("roc-auc", () => {
  const judged = (classes: number, scores: number[], labels: number[]) =>
    judge("roc-auc", { output: f32([labels.length, classes], ...scores), labels }).value;

  it("is the share of pairs in the right order, equal ones counted half", () => {
    expect(judged(1, [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBe(3 / 4);
    expect(judged(1, [0.2, 0.2, 0.2], [0, 1, 0])).toBe(1 / 2);
    expect(judged(1, [0.9, 0.1], [1, 1])).toBeNaN();
  });

  it("takes the difference of two scores, and what is not a number for wrong", () => {
    expect(judged(2, [3, 1, 0, 1, 5, 4], [0, 1, 0])).toBe(1);
    expect(judged(1, [Number.NaN, 0, Number.NaN, 1], [1, 0, 0, 1])).toBe(1 / 4);
    expect(() => judged(3, [1, 2, 3], [0])).toThrow(/one score or two; received 3 scores/);
  });
});

describe("spearman", () => {
  it("is Pearson's correlation of mean ranks", () => {
    const judged = (output: number[], targets: number[]) =>
      judge("spearman", { output: f32([output.length, 1], ...output), targets: f32([targets.length], ...targets) })
        .value;
    expect(judged([1, 2, 3, 10], [-5, 0, 7, 8])).toBeCloseTo(1, 15);
    expect(judged([4, 3, 2, 1], [1, 2, 3, 4])).toBeCloseTo(-1, 15);
    // Without ties 1 - 6 sum d^2 / (n (n^2 - 1)), here with d = 1 1 1 1 0.
    expect(judged([2, 1, 4, 3, 5], [1, 2, 3, 4, 5])).toBeCloseTo(1 - (6 * 4) / (5 * 24), 15);
    // Ranks 1.5 1.5 3 and 1 2 3: covariance 1.5, variances 1.5 and 2.
    expect(judged([0, 0, 9], [1, 2, 3])).toBeCloseTo(1.5 / Math.sqrt(1.5 * 2), 15);
    expect(judged([1, 1], [1, 2])).toBeNaN();
  });
});

describe("psnr", () => {
  it("compares with the targets in decibels", () => {
    const targets = f32([2, 1, 1, 2], 0, 1, 0, 1);
    const output = f32([2, 1, 1, 2], 0.1, 0.9, 0.01, 0.99);
    expect(judge("psnr", { output, targets }).value).toBeCloseTo((20 + 40) / 2, 4);
    expect(judge({ name: "psnr", peak: 255 }, { output, targets }).value).toBeCloseTo(30 + 20 * Math.log10(255), 4);
  });

  it("leaves out the border and rounds to levels", () => {
    const targets = f32([1, 1, 3, 3], ...new Array(9).fill(0.5));
    const output = f32([1, 1, 3, 3], 9, 9, 9, 9, 0.6, 9, 9, 9, 9);
    expect(judge({ name: "psnr", border: 1 }, { output, targets }).value).toBeCloseTo(20, 5);
    expect(judge({ name: "psnr", border: 1, levels: 3 }, { output, targets }).value).toBe(Number.POSITIVE_INFINITY);
    expect(() => judge({ name: "psnr", border: 2 }, { output, targets })).toThrow(/larger than its border/);
  });

  it("weighs colours as BT.601 does", () => {
    const targets = f32([1, 3, 1, 1], 0, 0, 0);
    const gray = judge({ name: "psnr", luma: true }, { output: f32([1, 3, 1, 1], 1, 1, 1), targets });
    expect(gray.value).toBeCloseTo(-20 * Math.log10(219 / 255), 6);
    const blue = judge({ name: "psnr", luma: true }, { output: f32([1, 3, 1, 1], 0, 0, 1), targets });
    expect(blue.value).toBeCloseTo(-20 * Math.log10(24.966 / 255), 6);
  });

  it("compares with the float model when told so", () => {
    const output = f32([1, 4], 0, 0, 0, 0.2);
    const value = judge({ name: "psnr", against: "float" }, { output, reference: f32([1, 4], 0, 0, 0, 0) }).value;
    expect(value).toBeCloseTo(20, 5);
  });
});

describe("choice of a metric", () => {
  it.each([
    ["top2", /metric\.name.*"top1"/],
    [{ name: "top1", k: 2 }, /metric\.k: .*one of the fields name, output/],
    [{ name: "topk" }, /metric\.k: missing/],
    [{ name: "f1", average: "micro" }, /metric\.average/],
    [{ name: "psnr", peak: 0 }, /metric\.peak.*positive/],
    [7, /metric: .*an object/],
  ])("refuses %j", (choice, message) => {
    expect(() => metric(choice)).toThrow(message);
  });

  it("takes the named output, or the first", () => {
    const scorer = (choice: unknown) => createScorer(metric(choice));
    const batch = { indices: Uint32Array.of(0), places: Uint32Array.of(0), feeds: {}, labels: Int32Array.of(1) };
    const outputs = { a: f32([1, 2], 1, 0), b: f32([1, 2], 0, 1) };
    const [first, second] = [scorer("top1"), scorer({ name: "top1", output: "b" })];
    first.add(batch, outputs);
    second.add(batch, outputs);
    expect([first.result().value, second.result().value]).toEqual([0, 1]);
    expect(() => scorer({ name: "top1", output: "c" }).add(batch, outputs)).toThrow(
      /no such output; expected a, b; received c/,
    );
  });
});

describe("a user's metric", () => {
  it("is the mean of a function's numbers", () => {
    const largest = customMetric(
      ({ output }: { output: Tensor }) => [Math.max(...(output.data as Float32Array))],
      "metric",
    );
    expect(judge(largest, { output: f32([1, 3], 1, 7, 3) }).value).toBe(7);
    expect(() =>
      judge(
        customMetric(() => [1, 2], "m.mjs"),
        { output: f32([1, 1], 0) },
      ),
    ).toThrow(/m\.mjs: .*1 numbers; received 2/);
    expect(() => customMetric({ name: "x" }, "m.mjs")).toThrow(/not a metric/);
  });

  it("fails in its own name", () => {
    const own = { name: "own", higherIsBetter: true, needs: "nothing" };
    const use = (part: object) => judge(customMetric({ ...own, ...part }, "m.mjs"), { output: f32([1, 1], 0) });
    const fails = () => {
      throw new Error("my own mistake");
    };
    const value = Float64Array.of(1);
    const finish = () => 1;
    for (const [part, text] of [
      [{ accumulate: fails, finish }, /^m\.mjs: the metric fails to score a batch; received my own mistake/],
      [{ accumulate: () => undefined, finish }, /^m\.mjs: .* expected scores, .*; received undefined/],
      [{ accumulate: () => ({ value: [1] }), finish }, /^m\.mjs: .* expected value in a Float64Array; received object/],
      [{ accumulate: () => ({ value, weight: value.with(0, 1).subarray(1) }), finish }, /1 numbers; received 0/],
      [{ accumulate: () => ({ value }), finish: fails }, /^m\.mjs: the metric fails to give its figure/],
      [{ accumulate: () => ({ value }), finish: () => "1" }, /^m\.mjs: .* figure is not a number; .* received string/],
    ] as const) {
      expect(() => use(part)).toThrow(text);
    }
  });

  it("is loaded from a module", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bitwright-metric-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(
      join(folder, "m.mjs"),
      "export default function spread({ samples }) { return new Array(samples).fill(3); }",
    );
    const loaded = await loadMetric(join(folder, "m.mjs"));
    expect(loaded.name).toBe("spread");
    expect(judge(loaded, { output: f32([2, 1], 0, 0) }).value).toBe(3);
    await expect(loadMetric(join(folder, "none.mjs"))).rejects.toMatchObject({ code: "io" });
  });
});

describe("snr", () => {
  const output = f32([2, 2], 3, 4, 0.1, 0);
  const reference = f32([2, 2], 3, 5, 0, 0);

  it("is the energy of the signal over that of the error, all samples together", () => {
    expect(judge({ name: "snr", against: "float" }, { output, reference }).value).toBeCloseTo(
      10 * Math.log10(34 / 1.01),
      5,
    );
    expect(judge("snr", { output, targets: reference }).value).toBeCloseTo(10 * Math.log10(34 / 1.01), 5);
    expect(judge({ name: "snr", against: "float" }, { output, reference: output }).value).toBe(Infinity);
  });

  it("refuses outputs of another size", () => {
    expect(() => judge("snr", { output, targets: f32([2, 1], 1, 2) })).toThrow(/2 elements; received 4/);
  });
});
