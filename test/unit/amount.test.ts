import { describe, expect, it } from "vitest";
import { countUnits, parseAmount, resolveAmount, sizeUnits, timeUnits } from "../../src/amount.js";

describe("amounts", () => {
  it.each([
    ["4MB", sizeUnits, { absolute: 4e6 }],
    ["1.5 MiB", sizeUnits, { absolute: 1.5 * 1024 ** 2 }],
    ["3ms", timeUnits, { absolute: 3 }],
    ["250us", timeUnits, { absolute: 0.25 }],
    ["300M", countUnits, { absolute: 3e8 }],
    ["12", countUnits, { absolute: 12 }],
    ["30%", sizeUnits, { share: 0.3 }],
    ["-70%", sizeUnits, { share: 0.3 }],
    ["-25%", timeUnits, { share: 0.75 }],
  ])("reads %s", (text, units, amount) => {
    const parsed = parseAmount(text, units, "max-size");
    expect(resolveAmount(parsed, 1000)).toBeCloseTo(resolveAmount(amount, 1000), 12);
    expect(Object.keys(parsed)).toEqual(Object.keys(amount));
  });

  it.each(["", "MB", "-4MB", "0MB", "0%", "-100%", "120%", "4", "4ms", "1e3MB", "NaN"])(
    "refuses %j as a size",
    (text) => {
      expect(() => parseAmount(text, sizeUnits, "max-size")).toThrow(
        expect.objectContaining({ code: "invalid-option", where: "max-size" }),
      );
    },
  );
});
