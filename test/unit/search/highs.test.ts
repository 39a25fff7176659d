import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, it } from "vitest";
import { loadSolver, provideSolver } from "../../../src/search/highs.js";

it("takes the solver's WebAssembly from its user", async () => {
  provideSolver(new Uint8Array(readFileSync(createRequire(import.meta.url).resolve("highs/runtime"))));
  const highs = await loadSolver();
  expect(highs.solve("Maximize\n x\nSubject To\n c: x <= 3\nEnd").ObjectiveValue).toBe(3);
  expect(await loadSolver()).toBe(highs);
});

it("says what to do when that is no WebAssembly, and takes it again", async () => {
  provideSolver(new Uint8Array([1, 2, 3]));
  await expect(loadSolver()).rejects.toThrow(expect.objectContaining({ code: "backend-unavailable" }));
  provideSolver(new Uint8Array(readFileSync(createRequire(import.meta.url).resolve("highs/runtime"))));
  await expect(loadSolver()).resolves.toBeDefined();
});
