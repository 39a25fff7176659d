import { describe, expect, it } from "vitest";
import { restorations } from "../../src/search/restore.js";

describe("restorations", () => {
  const choices = (int8: number, fp16: number) => [
    { choice: { weight: "float", activation: "float" } as const, cost: 0 },
    { choice: { weight: "fp16", activation: "float" } as const, cost: fp16 },
    { choice: { weight: "int8", activation: "float" } as const, cost: int8 },
    { choice: { weight: "int8", activation: "int8" } as const, cost: 1 },
  ];
  const group = (id: string, int8: number) => ({ id, layers: [id], sensitivity: 1, choices: choices(int8, 0.001) });
  const groups = [group("a", 0.2), group("b", 0.1), group("c", 0.3), group("d", 0.1)];

  it("offers weights alone to what went back to float, wide formats first, the least harm first", () => {
    // a and b went back; c is as searched; d was never lowered.
    expect(restorations(groups, [0, 0, 3, 0], [3, 3, 3, 0])).toEqual([
      {
        format: "fp16",
        lowerings: [
          { group: 0, from: 0, to: 1 },
          { group: 1, from: 0, to: 1 },
        ],
      },
      {
        format: "int8",
        lowerings: [
          { group: 1, from: 0, to: 2 },
          { group: 0, from: 0, to: 2 },
        ],
      },
    ]);
  });

  it("goes on from what went back to a wide format, and to nothing that is as wide", () => {
    // b is left with fp16 weights; what it already has, and integer kernels, are not offered.
    expect(restorations(groups, [3, 1, 3, 0], [3, 3, 3, 0])).toEqual([
      { format: "int8", lowerings: [{ group: 1, from: 1, to: 2 }] },
    ]);
  });
});
