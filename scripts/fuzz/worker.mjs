// Runs cases one after the other in a process of their own; ../fuzz.mjs watches over it.

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { BitwrightError, loadBackend } from "../../dist/index.js";
import { Cases, writeCase } from "./cases.mjs";
import { outputName, runCase } from "./pipeline.mjs";

/**
 * What became of a case.
 * @typedef {object} Outcome
 * @property {string} what
 * @property {string} code of the first error; "valid" when there was none
 * @property {string[]} faults what must not have happened
 * @property {string[]} errors
 */

/** Most memory that the process may ever take. */
const mostBytes = 3e9;

const { backend: backendName, models } = JSON.parse(process.argv[2]);
const backend = await loadBackend(backendName);
const cases = await Cases.create(backend, models);
const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

process.on("message", async ({ seed, index }) => {
  const outcome = await outcomeOf(seed, index).catch((error) => ({
    what: "",
    code: "broken",
    faults: [`the fuzzer itself threw ${inspect(error)}`],
    errors: [],
  }));
  process.send(outcome);
});
process.send({ bases: cases.bases });

/** @type {(seed: number, index: number) => Promise<Outcome>} */
async function outcomeOf(seed, index) {
  const testCase = cases.make(seed, index);
  const folder = mkdtempSync(join(tmpdir(), "case-"));
  // What the stages take for the system's folder of temporary files.
  const temporary = join(folder, "tmp");
  const data = join(folder, "data");
  process.env.TMPDIR = temporary;
  mkdirSync(temporary);
  mkdirSync(data);
  writeCase(testCase, data);
  const { errors, quantized } = await runCase(backend, testCase, data);
  await new Promise((resolve) => setTimeout(resolve));
  const faults = [
    ...(!testCase.damaged ? errors.map((error) => `an undamaged base gave ${inspect(error)}`) : []),
    ...errors.filter(isDefect).map((error) => `threw ${inspect(error)}`),
    ...unhandled.splice(0).map((reason) => `left a rejection unhandled: ${inspect(reason)}`),
    ...leftovers(testCase, data, temporary, quantized).map((name) => `left the file ${name}`),
  ];
  const bytes = process.resourceUsage().maxRSS * 1024;
  if (bytes > mostBytes) faults.push(`took ${Math.round(bytes / 1e6)} MB`);
  process.env.TMPDIR = join(folder, "..");
  rmSync(folder, { recursive: true });
  return {
    what: testCase.what,
    code: errors[0]?.code ?? "valid",
    faults,
    errors: errors.map((error) => inspect(error)),
  };
}

/** `engine-failure` says that the engine refused what the program itself asked for. @type {(error: unknown) => boolean} */
function isDefect(error) {
  return !(error instanceof BitwrightError) || error.code === "engine-failure";
}

/** @type {(testCase: import("./cases.mjs").Case, data: string, temporary: string, quantized: boolean) => string[]} */
function leftovers({ files }, data, temporary, quantized) {
  const expected = new Set(Object.keys(files));
  if (quantized) expected.add(outputName);
  return [...readdirSync(data).filter((name) => !expected.has(name)), ...readdirSync(temporary)];
}
