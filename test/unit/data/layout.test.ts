import { describe, expect, it } from "vitest";
import { Field } from "../../../src/data/field.js";
import { parseLayout, rearrange } from "../../../src/data/layout.js";

const parse = (text: unknown) => parseLayout(new Field("dataset.json", "layout", text));

describe("layout", () => {
  it.each([["HWC>CHW"], ["NHWC>NCH"], ["NHHC"], ["NHWC>"], ["nhwc"]])("refuses %s", (text) => {
    expect(() => parse(text)).toThrow(/dataset\.json, layout: .* axis letters/);
  });

  it("moves channels first and reverses them", () => {
    // Two pixels of three channels, stored pixel by pixel.
    const { dims, gather, channels, channelRun } = rearrange(parse("NHWC>NCHW"), [1, 2, 3], true, "x");
    expect(dims).toEqual([3, 1, 2]);
    expect([...gather!]).toEqual([2, 5, 1, 4, 0, 3]);
    expect([channels, channelRun]).toEqual([3, 2]);
  });

  it("drops and adds axes of one element", () => {
    const moved = rearrange(parse("N1FC>NF1C"), [1, 4, 2], false, "x");
    expect(moved.dims).toEqual([4, 1, 2]);
    expect(moved.gather).toBeUndefined();
  });

  it("agrees with index arithmetic on a permutation of five axes", () => {
    const [a, b, c, d] = [2, 3, 4, 5];
    const { gather, dims } = rearrange(parse("NABCD>DNBAC"), [a, b, c, d], false, "x");
    expect(dims).toEqual([d, b, a, c]);
    let at = 0;
    for (let l = 0; l < d; l++)
      for (let j = 0; j < b; j++)
        for (let i = 0; i < a; i++)
          for (let k = 0; k < c; k++) expect(gather![at++]).toBe(((i * b + j) * c + k) * d + l);
  });

  it("refuses data of another rank", () => {
    expect(() => rearrange(parse("NHWC"), [4, 4], false, "a.npy")).toThrow(/a\.npy: .*axes HWC.*\[4, 4\]/);
    expect(() => rearrange(parse("N1C>NC"), [2, 4], false, "a.npy")).toThrow(/axes 1C/);
  });
});
