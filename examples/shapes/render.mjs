// Draws one picture: a large figure at any angle, slightly squeezed and maybe crossed by bars, before a textured ground
// with small figures that do not count, under uneven light, with noise. Only + - * / and square roots are used, which
// IEEE 754 defines to the last bit, so every machine draws the same bytes.

import { figures } from "./figures.mjs";
import { Random } from "./random.mjs";

/** @import { Contours, Point } from "./figures.mjs" */
/** @typedef {[red: number, green: number, blue: number]} Colour */

/** Width and height of a picture in pixels. */
export const size = 32;
/** Bytes of a picture, [size, size, 3]. */
export const bytesPerImage = size * size * 3;

/** Scan lines in a pixel row. */
const linesPerRow = 4;

/**
 * The picture with this number.
 * @param {number} seed pictures of different seeds have nothing in common
 * @param {number} index
 * @param {number} label position in `figures`
 * @returns {Uint8Array} [size, size, 3], red green blue
 */
export function render(seed, index, label) {
  const random = new Random(seed, index);
  const canvas = new Float64Array(bytesPerImage);
  const ground = random.colour(0.15, 0.85);
  drawGround(canvas, ground, random);
  for (let distractors = 2 + random.below(4); distractors > 0; distractors--) drawDistractor(canvas, random);
  drawFigure(canvas, figures[label].contours, contrasting(ground, random), random);
  for (let bars = random.below(3); bars > 0; bars--) drawBar(canvas, random);
  return expose(canvas, random);
}

/**
 * A colour that can be told from `other`.
 * @param {Colour} other
 * @param {Random} random
 */
function contrasting(other, random) {
  for (;;) {
    const colour = random.colour(0.05, 0.95);
    const distance = colour.reduce((sum, value, channel) => sum + Math.abs(value - other[channel]), 0);
    if (distance > 0.5) return colour;
  }
}

/**
 * Fills the canvas with a colour and smooth noise: a coarse grid of random values, interpolated linearly.
 * @param {Float64Array} canvas
 * @param {Colour} ground
 * @param {Random} random
 */
function drawGround(canvas, ground, random) {
  const cells = 3 + random.below(6);
  const strength = random.between(0, 0.25);
  const grid = Float64Array.from({ length: (cells + 1) * (cells + 1) }, () => random.between(-strength, strength));
  for (let row = 0; row < size; row++) {
    const v = (row / size) * cells;
    const top = Math.floor(v);
    for (let column = 0; column < size; column++) {
      const u = (column / size) * cells;
      const left = Math.floor(u);
      const corner = top * (cells + 1) + left;
      const upper = grid[corner] + (u - left) * (grid[corner + 1] - grid[corner]);
      const lower = grid[corner + cells + 1] + (u - left) * (grid[corner + cells + 2] - grid[corner + cells + 1]);
      const texture = upper + (v - top) * (lower - upper);
      for (let channel = 0; channel < 3; channel++)
        canvas[(row * size + column) * 3 + channel] = ground[channel] + texture;
    }
  }
}

/**
 * A figure of any class, too small to be the one that is asked for.
 * @param {Float64Array} canvas
 * @param {Random} random
 */
function drawDistractor(canvas, random) {
  const { contours } = figures[random.below(figures.length)];
  const [cos, sin] = random.direction();
  const radius = random.between(2, 4);
  const centre = [random.between(0, size), random.between(0, size)];
  const frame = { centre, x: [radius * cos, radius * sin], y: [-radius * sin, radius * cos] };
  const colour = random.colour(0.05, 0.95);
  paint(canvas, place(contours, frame), () => colour);
}

/**
 * The figure that is asked for, striped across with a lighter or darker tone.
 * @param {Float64Array} canvas
 * @param {Contours} contours
 * @param {Colour} colour
 * @param {Random} random
 */
function drawFigure(canvas, contours, colour, random) {
  const [cos, sin] = random.direction();
  const radius = random.between(7.5, 12);
  const squeeze = random.between(0.85, 1.15);
  const lean = random.between(-0.12, 0.12);
  const centre = [size / 2 + random.between(-3.5, 3.5), size / 2 + random.between(-3.5, 3.5)];
  const frame = {
    centre,
    x: [radius * squeeze * cos, radius * squeeze * sin],
    y: [(radius / squeeze) * (lean * cos - sin), (radius / squeeze) * (lean * sin + cos)],
  };
  const [stripeX, stripeY] = random.direction();
  const stripeWidth = random.between(2, 5);
  const tone = random.between(-0.18, 0.18);
  paint(canvas, place(contours, frame), (column, row) => {
    const stripe = Math.floor((column * stripeX + row * stripeY) / stripeWidth) % 2 === 0;
    return stripe ? colour : [colour[0] + tone, colour[1] + tone, colour[2] + tone];
  });
}

/**
 * A bar across the picture, in front of the figure and off its middle.
 * @param {Float64Array} canvas
 * @param {Random} random
 */
function drawBar(canvas, random) {
  const [cos, sin] = random.direction();
  const width = random.between(1, 2.5);
  const offset = random.between(3, 11);
  const frame = {
    centre: [size / 2 + offset * cos, size / 2 + offset * sin],
    x: [width * cos, width * sin],
    y: [-2 * size * sin, 2 * size * cos],
  };
  /** @type {Contours} */
  const bar = [
    [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ],
  ];
  const colour = random.colour(0.05, 0.95);
  paint(canvas, place(bar, frame), () => colour);
}

/**
 * Light that falls off to one side, a colour cast and sensor noise; then rounding to bytes.
 * @param {Float64Array} canvas
 * @param {Random} random
 */
function expose(canvas, random) {
  const slope = random.between(0, 0.5) / size;
  const [cos, sin] = random.direction();
  const cast = random.colour(0.8, 1.2);
  const noise = random.between(0.02, 0.11);
  const bytes = new Uint8Array(bytesPerImage);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const light = 1 + slope * ((column - size / 2) * cos + (row - size / 2) * sin);
      for (let channel = 0; channel < 3; channel++) {
        const at = (row * size + column) * 3 + channel;
        const value = canvas[at] * light * cast[channel] + noise * random.normal();
        bytes[at] = Math.floor(255 * Math.min(Math.max(value, 0), 1) + 0.5);
      }
    }
  }
  return bytes;
}

/**
 * Contours moved from the unit frame to pixels.
 * @param {Contours} contours
 * @param {{ centre: number[], x: number[], y: number[] }} frame the origin and the two unit vectors, in pixels
 * @returns {Contours}
 */
function place(contours, { centre, x, y }) {
  return contours.map((contour) =>
    contour.map(([u, v]) => [centre[0] + u * x[0] + v * y[0], centre[1] + u * x[1] + v * y[1]]),
  );
}

/**
 * Blends a colour over the canvas where the contours cover it.
 * @param {Float64Array} canvas
 * @param {Contours} contours in pixels
 * @param {(column: number, row: number) => Colour} colourAt
 */
function paint(canvas, contours, colourAt) {
  const covered = coverage(contours);
  for (let pixel = 0; pixel < covered.length; pixel++) {
    if (covered[pixel] === 0) continue;
    const colour = colourAt(pixel % size, Math.floor(pixel / size));
    for (let channel = 0; channel < 3; channel++) {
      const at = pixel * 3 + channel;
      canvas[at] += covered[pixel] * (colour[channel] - canvas[at]);
    }
  }
}

/**
 * The share of each pixel that lies inside: exact along a scan line, sampled on `linesPerRow` lines across.
 * @param {Contours} contours in pixels
 * @returns {Float64Array} [size, size], 0 to 1
 */
function coverage(contours) {
  const covered = new Float64Array(size * size);
  for (let line = 0; line < size * linesPerRow; line++) {
    const start = Math.floor(line / linesPerRow) * size;
    const crossings = crossingsAt((line + 0.5) / linesPerRow, contours);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const from = Math.max(crossings[pair], 0);
      const to = Math.min(crossings[pair + 1], size);
      for (let column = Math.floor(from); column < to; column++) {
        covered[start + column] += (Math.min(to, column + 1) - Math.max(from, column)) / linesPerRow;
      }
    }
  }
  return covered;
}

/**
 * Where a horizontal line meets the contours, from left to right.
 * @param {number} y
 * @param {Contours} contours
 */
function crossingsAt(y, contours) {
  const crossings = [];
  for (const contour of contours) {
    let [x0, y0] = /** @type {Point} */ (contour.at(-1));
    for (const [x1, y1] of contour) {
      if (y0 <= y !== y1 <= y) crossings.push(x0 + ((y - y0) * (x1 - x0)) / (y1 - y0));
      [x0, y0] = [x1, y1];
    }
  }
  return crossings.sort((a, b) => a - b);
}
