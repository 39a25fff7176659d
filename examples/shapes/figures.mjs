// The figures to be told apart, one class each, as closed contours in a unit frame (even-odd filling, so a second
// contour is a hole). Corners of regular figures come from square roots of integers instead of sine and cosine, whose
// last bits differ between JavaScript engines.

/** @typedef {[x: number, y: number]} Point */
/** @typedef {Point[][]} Contours */

const root2 = Math.sqrt(2);
const root3 = Math.sqrt(3);
const root5 = Math.sqrt(5);
const root6 = Math.sqrt(6);

/** Cosine and sine of a full turn divided by the key. @type {Record<number, Point>} */
const turns = {
  3: [-1 / 2, root3 / 2],
  4: [0, 1],
  5: [(root5 - 1) / 4, Math.sqrt(10 + 2 * root5) / 4],
  6: [1 / 2, root3 / 2],
  10: [(root5 + 1) / 4, Math.sqrt(10 - 2 * root5) / 4],
  12: [root3 / 2, 1 / 2],
  24: [(root6 + root2) / 4, (root6 - root2) / 4],
};

/**
 * Corners at equal angles round the origin, at the given radii in turn.
 * @param {number} corners a key of `turns`
 * @param {...number} radii one for a regular polygon, two for a star
 * @returns {Point[]}
 */
function regular(corners, ...radii) {
  const [cos, sin] = turns[corners];
  /** @type {Point[]} */
  const contour = [];
  let [x, y] = [1, 0];
  for (let corner = 0; corner < corners; corner++) {
    const radius = radii[corner % radii.length];
    contour.push([radius * x, radius * y]);
    [x, y] = [cos * x - sin * y, sin * x + cos * y];
  }
  return contour;
}

/**
 * A figure and its mirror image: only the sense of rotation tells them apart.
 * @param {Point[]} contour
 * @returns {Point[]}
 */
const mirrored = (contour) => contour.map(([x, y]) => [-x, y]);

/** @type {Point[]} */
const bent = [
  [-0.6, -0.95],
  [-0.1, -0.95],
  [-0.1, 0.45],
  [0.75, 0.45],
  [0.75, 0.95],
  [-0.6, 0.95],
];

/** @type {Point[]} */
const stepped = [
  [-0.25, -0.9],
  [0.85, -0.9],
  [0.85, -0.4],
  [0.25, -0.4],
  [0.25, 0.9],
  [-0.85, 0.9],
  [-0.85, 0.4],
  [-0.25, 0.4],
];

/** Name and contours of each class; the position is the label. @type {{ name: string, contours: Contours }[]} */
export const figures = [
  { name: "triangle", contours: [regular(3, 1)] },
  { name: "square", contours: [regular(4, 1)] },
  { name: "pentagon", contours: [regular(5, 1)] },
  { name: "hexagon", contours: [regular(6, 1)] },
  { name: "disc", contours: [regular(24, 0.92)] },
  { name: "ring", contours: [regular(24, 0.92), regular(24, 0.4)] },
  { name: "frame", contours: [regular(4, 1), regular(4, 0.45)] },
  { name: "nut", contours: [regular(6, 1), regular(6, 0.42)] },
  { name: "five-pointed star", contours: [regular(10, 1, 0.54)] },
  { name: "six-pointed star", contours: [regular(12, 1, 0.58)] },
  {
    name: "plus",
    contours: [
      [
        [-0.28, -0.9],
        [0.28, -0.9],
        [0.28, -0.28],
        [0.9, -0.28],
        [0.9, 0.28],
        [0.28, 0.28],
        [0.28, 0.9],
        [-0.28, 0.9],
        [-0.28, 0.28],
        [-0.9, 0.28],
        [-0.9, -0.28],
        [-0.28, -0.28],
      ],
    ],
  },
  {
    name: "tee",
    contours: [
      [
        [-0.85, -0.85],
        [0.85, -0.85],
        [0.85, -0.3],
        [0.28, -0.3],
        [0.28, 0.9],
        [-0.28, 0.9],
        [-0.28, -0.3],
        [-0.85, -0.3],
      ],
    ],
  },
  { name: "bent", contours: [bent] },
  { name: "bent, mirrored", contours: [mirrored(bent)] },
  { name: "stepped", contours: [stepped] },
  { name: "stepped, mirrored", contours: [mirrored(stepped)] },
];
