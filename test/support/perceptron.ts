import type { Site } from "../../src/sensitivity/criterion.js";
import { buildModel } from "./model-builder.js";
import { float32, randomFloats } from "./tensors.js";

const [inputs, hidden, classes, samples] = [4, 5, 3, 6];
const x = randomFloats(samples * inputs, 1, -2, 2);
const first = randomFloats(inputs * hidden, 2);
const second = randomFloats(hidden * classes, 3, -2, 2);

/** Tensors of one sample by site, in double. */
export type PerceptronTensors = Record<
  "first/activation" | "first/weight" | "second/activation" | "second/weight",
  Float64Array
>;

/** Two layers with a tanh between, and its cross-entropy without the engine. */
export const perceptron = {
  samples,
  labels: [0, 1, 2, 2, 1, 0],
  feeds: { x: float32([samples, inputs], x) },
  model: buildModel(17)
    .input("x", ["N", inputs])
    .constant("first.w", float32([inputs, hidden], first))
    .constant("second.w", float32([hidden, classes], second))
    .node("MatMul", ["x", "first.w"], ["a"], {}, { name: "first" })
    .node("Tanh", ["a"], ["b"])
    .node("MatMul", ["b", "second.w"], ["logits"], {}, { name: "second" })
    .output("logits")
    .build(),
  sites: (["first", "second"] as const).flatMap((node) =>
    (["activation", "weight"] as const satisfies Site["kind"][]).map((kind) => ({ node, kind })),
  ),

  /** What the layers of a sample multiply. */
  tensors(sample: number): PerceptronTensors {
    const row = Float64Array.from(x.slice(sample * inputs, (sample + 1) * inputs));
    const weight = Float64Array.from(first);
    return {
      "first/activation": row,
      "first/weight": weight,
      "second/activation": product(row, weight, hidden).map(Math.tanh),
      "second/weight": Float64Array.from(second),
    };
  },

  /** The loss of a label when one of a sample's tensors is moved by `step` times a direction. */
  loss(
    sample: number,
    label: number,
    site: keyof PerceptronTensors,
    direction: ArrayLike<number>,
    step: number,
  ): number {
    const tensors = perceptron.tensors(sample);
    const move = () => {
      tensors[site] = tensors[site].map((value, i) => value + step * direction[i]!);
    };
    if (site !== "second/activation") move();
    tensors["second/activation"] = product(tensors["first/activation"], tensors["first/weight"], hidden).map(Math.tanh);
    if (site === "second/activation") move();
    const logits = product(tensors["second/activation"], tensors["second/weight"], classes);
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[label]!;
  },
};

function product(row: Float64Array, matrix: Float64Array, columns: number): Float64Array {
  return Float64Array.from({ length: columns }, (_, j) =>
    row.reduce((sum, value, i) => sum + value * matrix[i * columns + j]!, 0),
  );
}

/** The direction of one element. */
export function unit(length: number, element: number): Float64Array {
  const direction = new Float64Array(length);
  direction[element] = 1;
  return direction;
}
