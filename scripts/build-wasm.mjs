// Builds wasm/bitwright.wasm with emscripten. With --check the module is built aside and compared with the committed one.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "./paths.mjs";

// The bytes depend on the compiler, so the committed module has one version: that of Debian 12's emscripten package.
const emscriptenVersion = "3.1.6";

const check = process.argv.includes("--check");
const committed = join(root, "wasm", "bitwright.wasm");
const directory = join(root, "build", "wasm");

// Debian's emscripten takes acorn from the system's modules, where another node does not look.
const env = { ...process.env, NODE_PATH: [process.env.NODE_PATH, "/usr/share/nodejs"].filter(Boolean).join(delimiter) };

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
  if (error?.code === "ENOENT")
    fail(`${command} is not on the PATH; install emscripten ${emscriptenVersion} and CMake`);
  if (status !== 0) fail(`${command} failed`);
}

function fail(message) {
  console.error(`build-wasm: ${message}`);
  process.exit(1);
}

const { stdout } = spawnSync("emcc", ["-dumpversion"], { env, encoding: "utf8" });
const version = stdout?.trim();
if (check && version !== emscriptenVersion) {
  fail(`expected emscripten ${emscriptenVersion}; received ${version || "none"}. Other versions give other bytes`);
}

run("emcmake", ["cmake", "-S", ".", "-B", directory, "-DCMAKE_BUILD_TYPE=Release"]);
run("cmake", ["--build", directory, "--parallel", String(availableParallelism())]);

const built = join(directory, "wasm", "bitwright.wasm");
const bytes = readFileSync(built);
if (!check) {
  writeFileSync(committed, bytes);
  console.log(`wasm/bitwright.wasm: ${bytes.length} bytes, emscripten ${version}`);
} else if (!existsSync(committed) || !bytes.equals(readFileSync(committed))) {
  fail("wasm/bitwright.wasm is not what the sources give. Run npm run build:wasm and commit the result");
} else {
  console.log("wasm/bitwright.wasm is what the sources give");
}
