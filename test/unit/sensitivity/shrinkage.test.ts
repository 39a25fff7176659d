import { describe, expect, it } from "vitest";
import { uniformNumbers } from "../../../src/random.js";
import { shrinkageOf } from "../../../src/sensitivity/interactions/shrinkage.js";
import { type Interactions, predictLoss } from "../../../src/sensitivity/interactions.js";

/** Projections of sites with a common part: share of the variance that all have in common. */
function projections(samples: number, width: number, common: number): Float32Array {
  const uniform = uniformNumbers(7);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const u = new Float32Array(samples * width);
  for (let n = 0; n < samples; n++) {
    const shared = normal();
    for (let i = 0; i < width; i++) u[n * width + i] = Math.sqrt(common) * shared + Math.sqrt(1 - common) * normal();
  }
  return u;
}

const names = (width: number) => Array.from({ length: width }, (_, i) => `site ${i}`);

describe("shrinkage of terms between sites", () => {
  it("is nearly whole where there is nothing but noise, and nearly none where there are samples enough", () => {
    expect(shrinkageOf(projections(40, 30, 0), 1, 40, names(30))).toBeGreaterThan(0.85);
    expect(shrinkageOf(projections(2000, 30, 0.5), 1, 2000, names(30))).toBeLessThan(0.01);
  });

  // Of normal projections with correlation r, a term's variance over its square is (1 + r^2) / (r^2 N) in the mean.
  it("is the share of the terms' squares that is noise", () => {
    const [samples, r] = [200, 0.3];
    const noise = (1 + r * r) / samples;
    expect(shrinkageOf(projections(samples, 40, r), 1, samples, names(40))).toBeCloseTo(noise / (r * r + noise), 1);
  });

  it("leaves what choices of one site have in common alone", () => {
    expect(shrinkageOf(projections(40, 5, 0), 1, 40, new Array(5).fill("one site"))).toBe(0);
    const interactions: Interactions = {
      source: "fisher",
      choices: [
        { site: "a/weight", format: "int8" },
        { site: "a/weight", format: "int4" },
        { site: "b/weight", format: "int8" },
      ],
      matrix: [
        [2, 1, 4],
        [1, 6, 2],
        [4, 2, 8],
      ],
      shrinkage: 0.75,
    };
    expect(predictLoss(interactions, [0, 1])).toEqual({ loss: (2 + 6 + 2 * 1) / 2 });
    expect(predictLoss(interactions, [0, 2])).toEqual({ loss: (2 + 8 + 2 * 0.25 * 4) / 2 });
  });
});
