import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
mkdirSync(join(root, "build"), { recursive: true });
// Inside the package, so that it finds itself by its name.
const folder = mkdtempSync(join(root, "build", "readme-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the examples take from their surroundings. */
const surroundings = `
import type { Tensor } from "bitwright";
declare global {
  const wasmBytes: Uint8Array<ArrayBuffer>;
  const solverBytes: Uint8Array<ArrayBuffer>;
  const modelBytes: Uint8Array<ArrayBuffer>;
  const tensor: Tensor;
  const labels: number[];
}
`;

test("the README's TypeScript compiles", () => {
  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```/gms)];
  expect(blocks.length).toBeGreaterThan(0);
  for (const [i, [, code]] of blocks.entries()) writeFileSync(join(folder, `example-${i}.ts`), code!);
  writeFileSync(join(folder, "surroundings.ts"), surroundings);
  const extended = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noEmit: true, noUnusedLocals: false, rootDir: folder },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...extended, include: ["*.ts"] }));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
});
