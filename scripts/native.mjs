import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { addon, root } from "./paths.mjs";

/**
 * Compiles the addon with cmake-js and loads it once in a child process, so that one that cannot run here never reaches the user.
 * Returns undefined when it works, otherwise the reason in a few words and the tools' output.
 */
export function buildAddon() {
  let cmakeJs;
  try {
    cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
  } catch {
    return { reason: "cmake-js is not installed", output: "" };
  }
  if (spawnSync("cmake", ["--version"]).error) return { reason: "no cmake on the PATH", output: "" };

  const compile = spawnSync(
    process.execPath,
    [cmakeJs, "compile", "--directory", root, "--parallel", String(availableParallelism())],
    { cwd: root, encoding: "utf8" },
  );
  if (compile.status !== 0) {
    rmSync(addon, { force: true });
    return { reason: "the compilation failed", output: compile.stdout + compile.stderr };
  }

  const load = spawnSync(process.execPath, ["-e", `require(${JSON.stringify(addon)})`], { encoding: "utf8" });
  if (load.status === 0) return undefined;
  rmSync(addon, { force: true });
  return { reason: "the compiled addon does not load", output: load.stderr || `ended by ${load.signal}` };
}
