import { describe, expect, it } from "vitest";
import { Field } from "../../../src/data/field.js";
import { type Box, overlap, suppress } from "../../../src/data/metrics/boxes.js";
import { parseMetric } from "../../../src/data/metrics/index.js";
import { createScorer } from "../../../src/data/metrics/scorer.js";
import { yoloxBoxes } from "../../../src/data/metrics/yolox.js";
import type { Tensor } from "../../../src/tensor.js";

/** Places of a picture of 32 by 32: 4 by 4 of 8 pixels, 2 by 2 of 16, 1 of 32. */
const places = 16 + 4 + 1;
const classes = 2;
const width = 5 + classes;

/** Boxes of 8 by 8 in the middle of places of the first grid: [place, class, score]. */
type Spot = readonly [place: number, label: number, score: number];

function output(...pictures: readonly (readonly Spot[])[]): Tensor {
  const data = new Float32Array(pictures.length * places * width);
  for (const [n, spots] of pictures.entries()) {
    for (const [place, label, score] of spots) {
      const row = data.subarray((n * places + place) * width);
      row.set([0.5, 0.5, 0, 0, score]);
      row[5 + label] = 1;
    }
  }
  return { dtype: "float32", dims: [pictures.length, places, width], data };
}

function judge(found: Tensor, float: Tensor) {
  const metric = parseMetric(new Field("d", "metric", { name: "ap", boxes: "yolox", size: 32 }), false);
  const scorer = createScorer(metric);
  const indices = Uint32Array.from({ length: found.dims[0]! }, (_, i) => i);
  scorer.add({ indices, places: indices, feeds: {} }, { y: found }, { y: float });
  return scorer.result();
}

const box = (left: number, top: number, right: number, bottom: number, label = 0, score = 1): Box => ({
  left,
  top,
  right,
  bottom,
  label,
  score,
});

describe("boxes", () => {
  it("overlap by what they share of what they cover", () => {
    expect(overlap(box(0, 0, 2, 2), box(1, 1, 3, 3))).toBeCloseTo(1 / 7, 15);
    expect(overlap(box(0, 0, 2, 2), box(2, 0, 4, 2))).toBe(0);
  });

  it("give way to better ones of their class", () => {
    const [best, worse, other] = [box(0, 0, 4, 4, 0, 0.9), box(0, 0, 4, 3, 0, 0.5), box(0, 0, 4, 4, 1, 0.4)];
    expect(suppress([other, worse, best], 0.45)).toEqual([best, other]);
  });

  it("come out of a YOLOX head in pixels", () => {
    const head = output([[6, 1, 0.75]]);
    // Place 18 is in the second row and the first column of the second grid.
    head.data.set([0.25, 0.5, Math.log(2), 0, 1, 0.5, 0.25], 18 * width);
    expect(yoloxBoxes(head, 1, [32, 32], 0.4)).toEqual([
      [box(16, 8, 24, 16, 1, 0.75), box(expect.closeTo(-12), 16, expect.closeTo(20), 32, 0, 0.5)],
    ]);
    expect(() => yoloxBoxes(head, 1, [64, 64], 0.4)).toThrow(/expected \[1, 84, 5 \+ classes\]/);
  });
});

describe("average precision", () => {
  it("is 1 for the float model itself, and not a number without objects", () => {
    const float = output([[0, 0, 0.9]], [[5, 1, 0.6]], []);
    expect(judge(float, float)).toMatchObject({ value: 1, scores: { value: Float64Array.of(1, 1, 1) } });
    expect(judge(output([]), output([])).value).toBeNaN();
  });

  it("is the area under the monotone precision, in the mean over classes", () => {
    // Class 0: hit, miss, hit of three objects: precisions 1 and 2/3. Class 1: one object of two is found, behind a false box.
    const float = output(
      [
        [0, 0, 0.9],
        [1, 1, 0.9],
      ],
      [
        [2, 0, 0.9],
        [3, 0, 0.9],
        [4, 1, 0.9],
      ],
    );
    const found = output(
      [
        [0, 0, 0.9],
        [9, 1, 0.8],
      ],
      [
        [10, 0, 0.8],
        [2, 0, 0.7],
        [4, 1, 0.5],
      ],
    );
    expect(judge(found, float).value).toBeCloseTo((1 / 3 + (1 / 3) * (2 / 3) + (1 / 2) * (1 / 2)) / 2, 12);
  });

  it("counts an object once, and only above the threshold", () => {
    const float = output([
      [0, 0, 0.9],
      [7, 0, 0.2],
    ]);
    const [one, two] = [judge(float, float).scores, judge(output([[0, 0, 0.1]]), float).scores];
    expect(one).toMatchObject({ objects: [[0]], detections: [[{ hit: true }, { hit: false }]] });
    expect(two.value).toEqual(Float64Array.of(0));
  });
});
