import { describe, expect, it } from "vitest";
import { encodeFloats } from "../../../src/base64.js";
import { uniformNumbers } from "../../../src/random.js";
import { significantTerms } from "../../../src/sensitivity/interactions/significant-terms.js";
import { type Interactions, predictLoss } from "../../../src/sensitivity/interactions.js";

/** Normal projections of sites; those of the first two have this correlation, the others none. */
function projections(samples: number, width: number, correlation: number): Float32Array {
  const uniform = uniformNumbers(7);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const u = new Float32Array(samples * width);
  for (let n = 0; n < samples; n++) {
    for (let i = 0; i < width; i++) u[n * width + i] = normal();
    const [first, second] = [u[n * width]!, u[n * width + 1]!];
    u[n * width + 1] = correlation * first + Math.sqrt(1 - correlation ** 2) * second;
  }
  return u;
}

const names = (width: number) => Array.from({ length: width }, (_, i) => `site ${i}`);

/** Pairs of different choices whose terms stand out. */
function standing(terms: readonly Uint8Array[]): string[] {
  return terms.flatMap((row, i) => [...row.keys()].filter((j) => j < i && row[j] === 1).map((j) => `${j} ${i}`));
}

describe("terms between sites", () => {
  it("stand out where they are more than noise, and nowhere else", () => {
    const u = projections(400, 40, 0.6);
    expect(standing(significantTerms({ u, probes: 1, samples: 400 }, names(40)))).toEqual(["0 1"]);
    const noise = projections(400, 40, 0);
    expect(standing(significantTerms({ u: noise, probes: 1, samples: 400 }, names(40)))).toEqual([]);
  });

  it("average the probes of a sample before samples are held against each other", () => {
    // Two probes that contradict each other say of every sample: nothing.
    const once = projections(400, 10, 0.9);
    const opposite = once.map((value, at) => (at % 10 === 0 ? -value : value));
    const u = new Float32Array([...once, ...opposite]);
    expect(standing(significantTerms({ u, probes: 2, samples: 400 }, names(10)))).toEqual([]);
  });

  it("are left out of predictions where they do not stand out, except between choices of one site", () => {
    const u = projections(400, 3, 0.8);
    const interactions: Interactions = {
      source: "fisher",
      choices: [
        { site: "a/weight", format: "int8" },
        { site: "b/weight", format: "int8" },
        { site: "c/weight", format: "int8" },
      ],
      matrix: [
        [2, 1, 4],
        [1, 6, 2],
        [4, 2, 8],
      ],
      projections: { probes: 1, samples: 400, data: encodeFloats(u) },
    };
    expect(predictLoss(interactions, [0, 1]).loss).toBe((2 + 6 + 2 * 1) / 2);
    expect(predictLoss(interactions, [0, 2]).loss).toBe((2 + 8) / 2);
    const sameSite = interactions.choices.map(({ format }) => ({ site: "a/weight", format }));
    expect(predictLoss({ ...interactions, choices: sameSite }, [0, 2]).loss).toBe((2 + 8 + 2 * 4) / 2);
  });
});

describe("terms that were left in", () => {
  it("are scaled down until no configuration is predicted to cost nothing", () => {
    // Three sites that oppose each other by more than all three together can.
    const samples = 900;
    const u = new Float32Array(samples * 3);
    for (let n = 0; n < samples; n++) {
      u[n * 3] = n % 2 === 0 ? 1 : -1;
      u[n * 3 + 1] = -u[n * 3]! * (1 + 0.1 * (n % 3));
      u[n * 3 + 2] = -u[n * 3]! * (1 + 0.1 * (n % 5));
    }
    const term = (i: number, j: number) => (i === j ? 1 : -0.8);
    const interactions: Interactions = {
      source: "fisher",
      choices: ["a", "b", "c"].map((name) => ({ site: `${name}/weight`, format: "int4" })),
      matrix: [0, 1, 2].map((i) => [0, 1, 2].map((j) => term(i, j))),
      projections: { probes: 1, samples, data: encodeFloats(u) },
    };
    // 1/2 (3 - 6 * 0.8) would be below zero; the smallest eigenvalue of the terms between sites is -1.6.
    expect(predictLoss(interactions, [0, 1, 2]).loss).toBeCloseTo(0.5 * (3 - (6 * 0.8 * 0.5) / 1.6), 4);
    expect(predictLoss(interactions, [0]).loss).toBe(0.5);
  });
});
