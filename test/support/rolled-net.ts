import { buildModel } from "./model-builder.js";
import { float32, randomFloats } from "./tensors.js";

const [inputs, width] = [3, 4];
const w = randomFloats(inputs * width, 11, -2, 2);
const u = randomFloats(width * width, 12, -1, 1);
const v = randomFloats(width, 13, -2, 2);

/** after = tanh(x W + before U), y = after V: a layer that feeds itself, with its run in double. */
export const rolledNet = {
  inputs,
  width,
  model: buildModel(17)
    .input("x", ["N", inputs])
    .input("before", [1, "N", width])
    .constant("w", float32([inputs, width], w))
    .constant("u", float32([width, width], u))
    .constant("v", float32([width, 1], v))
    .constant("axis", { dtype: "int64", dims: [1], data: BigInt64Array.of(0n) })
    .node("MatMul", ["x", "w"], ["xw"], {}, { name: "of input" })
    .node("Squeeze", ["before", "axis"], ["h"])
    .node("MatMul", ["h", "u"], ["hu"], {}, { name: "of state" })
    .node("Add", ["xw", "hu"], ["sum"])
    .node("Tanh", ["sum"], ["next"])
    .node("MatMul", ["next", "v"], ["y"], {}, { name: "of output" })
    .node("Unsqueeze", ["next", "axis"], ["after"])
    .output("y", ["N", 1])
    .output("after", [1, "N", width])
    .build(),

  /** Outputs and the states before them, for steps of sequences that start where `first` says. */
  run(x: Float32Array, first: (step: number) => boolean): { y: number[]; before: number[][] } {
    const [y, states]: [number[], number[][]] = [[], []];
    let h = new Array<number>(width).fill(0);
    for (let t = 0; t < x.length / inputs; t++) {
      if (first(t)) h = new Array<number>(width).fill(0);
      states.push(h);
      const before = h;
      h = h.map((_, j) => {
        let sum = 0;
        for (let i = 0; i < inputs; i++) sum += x[t * inputs + i]! * w[i * width + j]!;
        for (let i = 0; i < width; i++) sum += before[i]! * u[i * width + j]!;
        return Math.tanh(sum);
      });
      y.push(h.reduce((sum, value, j) => sum + value * v[j]!, 0));
    }
    return { y, before: states };
  },
};
