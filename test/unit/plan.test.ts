import { describe, expect, it } from "vitest";
import { explain } from "../../src/plan.js";

describe("why a group has its choice", () => {
  const group = (...costs: readonly number[]) => ({
    id: "a",
    layers: ["a"],
    sensitivity: 1,
    choices: [
      { choice: { weight: "float", activation: "float" } as const, cost: 0 },
      { choice: { weight: "int8", activation: "int8" } as const, cost: costs[0]! },
      { choice: { weight: "int4", activation: "float" } as const, cost: costs[1]! },
    ],
  });

  it("names the next narrower choice that costs more, and what kept it away", () => {
    expect(explain(group(0.002, 0.1), 0, false)).toBe(
      "kept float; int8 weights and int8 activations would cost 2.0e-3, more than the limits leave",
    );
    expect(explain(group(0.002, 0.1), 0, true)).toMatch(/taken back after verification$/);
    expect(explain(group(0.002, 0.1), 1, false)).toBe("costs 2.0e-3; the narrowest offered");
  });

  it("does not blame the limits for what would have cost less", () => {
    expect(explain(group(0.002, 0.1), 2, false)).toBe("costs 1.0e-1; nothing else is smaller");
  });
});
