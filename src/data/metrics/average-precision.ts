import type { Field } from "../field.js";
import { type Box, overlap, suppress } from "./boxes.js";
import type { Detection, Metric, Scores } from "./metric.js";
import { yoloxBoxes } from "./yolox.js";

export interface AveragePrecisionOptions {
  /** [height, width] of the pictures that the model takes. */
  readonly size: readonly [number, number];
  /** From which score on boxes of the float model are objects to be found. Default 0.3. */
  readonly threshold?: number;
  /** Overlap from which on a box has found an object. Default 0.5. */
  readonly overlap?: number;
}

/** Boxes below this score change the mean precision by nothing that counts. */
const leastScore = 0.01;
/** Overlap above which the lower of two boxes of a class goes. */
const suppression = 0.45;

/**
 * Mean over the classes of the average precision with which a detector finds the objects that the float model finds: the area under the precision at
 * each recall, the precision made monotone first (Everingham et al. 2010, all points).
 */
export function averagePrecision(options: AveragePrecisionOptions): Metric {
  const { size, threshold = 0.3, overlap: needed = 0.5 } = options;
  return {
    name: "ap",
    higherIsBetter: true,
    needs: "reference",
    accumulate({ output, reference, samples }) {
      const found = yoloxBoxes(output, samples, size, leastScore).map((boxes) => suppress(boxes, suppression));
      const objects = yoloxBoxes(reference ?? output, samples, size, threshold).map((boxes) =>
        suppress(boxes, suppression),
      );
      const detections = found.map((boxes, i) => matched(boxes, objects[i]!, needed));
      const value = detections.map((own, i) =>
        f1(
          own.filter(({ score }) => score >= threshold),
          objects[i]!.length,
        ),
      );
      return {
        value: Float64Array.from(value),
        detections,
        objects: objects.map((boxes) => boxes.map(({ label }) => label)),
      };
    },
    finish: meanAveragePrecision,
  };
}

export function parseAveragePrecision(field: Field): Metric {
  const { boxes, size, threshold, overlap } = field.object(["name", "output", "boxes", "size", "threshold", "overlap"]);
  boxes.choice(["yolox"]);
  const [height, width = height, ...rest] = size.oneOrMore().map((side) => side.integer(32));
  if (height! % 32 > 0 || width! % 32 > 0 || rest.length > 0) size.fail("[height, width], multiples of 32");
  return averagePrecision({
    size: [height!, width!],
    ...(threshold.present && { threshold: threshold.number() }),
    ...(overlap.present && { overlap: overlap.number() }),
  });
}

/** Boxes of one picture, the highest scores first; each object is found once, by the best box that overlaps it enough. */
function matched(boxes: readonly Box[], objects: readonly Box[], needed: number): Detection[] {
  const open = new Set(objects);
  return boxes.map((box) => {
    let best: Box | undefined;
    for (const object of open) {
      if (object.label !== box.label || overlap(object, box) < needed) continue;
      if (best === undefined || overlap(object, box) > overlap(best, box)) best = object;
    }
    if (best !== undefined) open.delete(best);
    return { label: box.label, score: box.score, hit: best !== undefined };
  });
}

/** 1 for a picture without objects in which nothing was found. */
function f1(detections: readonly Detection[], objects: number): number {
  const all = detections.length + objects;
  return all === 0 ? 1 : (2 * detections.filter(({ hit }) => hit).length) / all;
}

/** NaN where there are no objects. */
function meanAveragePrecision(scores: Scores): number {
  const detections = scores.detections?.flat() ?? [];
  const objects = scores.objects?.flat() ?? [];
  const labels = [...new Set(objects)];
  const areas = labels.map((label) =>
    areaUnder(
      detections.filter((detection) => detection.label === label),
      objects.filter((object) => object === label).length,
    ),
  );
  return areas.reduce((sum, area) => sum + area, 0) / areas.length;
}

function areaUnder(detections: readonly Detection[], objects: number): number {
  const precisions: number[] = [];
  let hits = 0;
  for (const [i, { hit }] of detections.toSorted((a, b) => b.score - a.score).entries()) {
    if (hit) precisions.push(++hits / (i + 1));
  }
  let best = 0;
  let area = 0;
  for (const precision of precisions.reverse()) {
    best = Math.max(best, precision);
    area += best / objects;
  }
  return area;
}
