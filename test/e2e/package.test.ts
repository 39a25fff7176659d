import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "bitwright-package-"));
let tarball: string;

const smoke = `
  import { fakeQuantize, loadBackend } from "bitwright";
  import { createWasmBackend } from "bitwright/edge";
  const backend = await loadBackend();
  const quantizer = {
    bits: 8, signed: true, qmin: -128, qmax: 127, granularity: { kind: "tensor" },
    scales: Float32Array.of(0.5), zeroPoints: Int32Array.of(0),
  };
  const y = await fakeQuantize(backend, Float32Array.of(0.6, -1.8, 1000), [3], quantizer);
  console.log(JSON.stringify({ backend: backend.name, y: [...y], edge: typeof createWasmBackend }));
`;

beforeAll(() => {
  const [{ filename }] = JSON.parse(npm(root, ["pack", "--ignore-scripts", "--json", "--pack-destination", work]));
  tarball = join(work, filename);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("the packed tarball, installed in an empty folder", () => {
  test("builds and uses the native addon", () => {
    expect(install("compiler", process.env.PATH!)).toEqual({ backend: "native", y: [0.5, -2, 63.5], edge: "function" });
  });

  test("uses WebAssembly where there is no compiler", () => {
    expect(install("no-compiler", pathWithoutCompiler())).toEqual({
      backend: "wasm",
      y: [0.5, -2, 63.5],
      edge: "function",
    });
  });
});

/** Installs the tarball in a new folder and returns what the smoke script prints there. */
function install(name: string, path: string): unknown {
  const folder = join(work, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  writeFileSync(join(folder, "smoke.mjs"), smoke);
  npm(folder, ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball], path);
  return JSON.parse(run("node", ["smoke.mjs"], folder, path));
}

function npm(cwd: string, args: string[], path = process.env.PATH!): string {
  return run("npm", args, cwd, path);
}

/** Runs a program as a user's shell would, without what this test run has put into the environment. */
function run(command: string, args: string[], cwd: string, path: string): string {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(npm_|BITWRIGHT_|NODE_|VITEST|CMAKE)/i.test(key));
  const env = { ...Object.fromEntries(inherited), PATH: path };
  return execFileSync(command, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A PATH that offers Node and npm and nothing that builds. */
function pathWithoutCompiler(): string {
  const folder = join(work, "bin");
  mkdirSync(folder);
  for (const tool of ["node", "npm", "npx", "sh", "env"]) symlinkSync(realpathSync(which(tool)), join(folder, tool));
  return folder;
}

function which(tool: string): string {
  return execFileSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" })
    .trim()
    .split(delimiter)[0]!;
}
