import { expect, it, vi } from "vitest";
import { decodeWithSharp } from "../../../src/data/images-node.js";

vi.mock("sharp", () => {
  throw new Error("Cannot find package 'sharp'");
});

it("says how to get the picture decoder when it is not installed", async () => {
  const geometry = { resize: undefined, crop: undefined, filter: "bilinear", gray: false } as const;
  const decoded = decodeWithSharp(new Uint8Array(1), geometry, "a.png");
  await expect(decoded).rejects.toMatchObject({
    code: "runtime-missing",
    message: expect.stringMatching(/npm install sharp.*\.npy/),
  });
});
