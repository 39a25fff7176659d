import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/install.mjs", import.meta.url));
const noTools = mkdtempSync(join(tmpdir(), "bitwright-install-"));
symlinkSync(process.execPath, join(noTools, "node"));
afterAll(() => rmSync(noTools, { recursive: true }));

/** Runs the install script where nothing can be built. */
function install(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    env: { PATH: noTools, ...env },
    encoding: "utf8",
  });
  return { status, lines: (stdout + stderr).trim().split("\n") };
}

describe("the install script without CMake", () => {
  test("ends well and says in one line what will be used", () => {
    const { status, lines } = install([]);
    expect(status).toBe(0);
    expect(lines).toEqual([expect.stringMatching(/no cmake.*WebAssembly engine will be used/)]);
  });

  test.each([
    [["--required"], {}],
    [[], { BITWRIGHT_NATIVE: "required" }],
  ])("fails when the addon is required, and says what that takes", (args, env) => {
    const { status, lines } = install(args, env);
    expect(status).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/no cmake.*It takes a C\+\+ compiler and CMake/)]);
  });

  test("does not try when told to skip", () => {
    const { status, lines } = install([], { BITWRIGHT_NATIVE: "skip" });
    expect(status).toBe(0);
    expect(lines).toEqual([expect.stringContaining("BITWRIGHT_NATIVE=skip")]);
  });

  test("refuses a mode that is none", () => {
    const { status, lines } = install([], { BITWRIGHT_NATIVE: "yes" });
    expect(status).toBe(1);
    expect(lines).toEqual([expect.stringContaining("expected auto, required or skip; received yes")]);
  });
});
