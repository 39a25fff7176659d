import { BitwrightError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Box } from "./boxes.js";

const strides = [8, 16, 32];

/**
 * The boxes in the output of a YOLOX head (Ge et al. 2021), [samples, places, 5 + classes]: offsets of centres from their places and logarithms of
 * sizes in units of the stride, the chance of an object, the chances of classes. A score is the product of the two chances.
 * @param size - [height, width] of the pictures, whose places follow each other stride by stride, row by row.
 * @returns for each sample the boxes of which the likeliest class scores `least` or more.
 */
export function yoloxBoxes(output: Tensor, samples: number, size: readonly [number, number], least: number): Box[][] {
  const grids = strides.map((stride) => ({ stride, rows: size[0] / stride, columns: size[1] / stride }));
  const places = grids.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const width = output.dims[2] ?? 0;
  if (output.dims.length !== 3 || output.dims[0] !== samples || output.dims[1] !== places || width < 6) {
    throw new BitwrightError("invalid-data", "the output is not that of a YOLOX head", {
      expected: `[${samples}, ${places}, 5 + classes] for pictures of [${size.join(", ")}]`,
      received: `[${output.dims.join(", ")}]`,
    });
  }
  const at = (i: number) => Number(output.data[i]);
  return Array.from({ length: samples }, (_, sample) => {
    const boxes: Box[] = [];
    let start = sample * places * width;
    for (const { stride, rows, columns } of grids) {
      for (let place = 0; place < rows * columns; place++, start += width) {
        let label = 0;
        for (let c = 1; c < width - 5; c++) if (at(start + 5 + c) > at(start + 5 + label)) label = c;
        const score = at(start + 4) * at(start + 5 + label);
        if (!(score >= least)) continue;
        const x = (at(start) + (place % columns)) * stride;
        const y = (at(start + 1) + Math.floor(place / columns)) * stride;
        const [halfWidth, halfHeight] = [2, 3].map((i) => (Math.exp(at(start + i)) * stride) / 2) as [number, number];
        boxes.push({
          left: x - halfWidth,
          top: y - halfHeight,
          right: x + halfWidth,
          bottom: y + halfHeight,
          label,
          score,
        });
      }
    }
    return boxes;
  });
}
