// Makes a clone ready to run: installs the packages, builds the addon and dist/ where they are missing or older than their sources.
// Runs before npm test and npm run demo, so it imports nothing but Node itself. With --required it fails where the addon cannot be built.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { addon, root } from "./paths.mjs";

const required = process.argv.includes("--required");
const sources = Math.max(newest("native"), modified(join(root, "CMakeLists.txt")));
const complete = packagesInstalled();
if (!complete) run("npm", ["ci", "--no-audit", "--no-fund", "--foreground-scripts"]); // builds the addon too
if (sources > modified(addon) && (complete || required)) {
  run(process.execPath, ["scripts/install.mjs", ...(required ? ["--required"] : [])]);
}
run("npm", ["run", "--silent", "build"]);

function run(command, args) {
  // npm is a script on Windows, which only a shell runs.
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}

/** Whether node_modules holds what package-lock.json asks for; npm keeps its own account of it there. */
function packagesInstalled() {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  let installed;
  try {
    installed = JSON.parse(readFileSync(join(root, "node_modules", ".package-lock.json"), "utf8"));
  } catch {
    return false;
  }
  return Object.entries(lock.packages).every(
    ([path, wanted]) => path === "" || wanted.optional || installed.packages[path]?.version === wanted.version,
  );
}

/** The latest modification among the files of a folder. */
function newest(folder) {
  const files = readdirSync(join(root, folder), { recursive: true });
  return Math.max(...files.map((file) => modified(join(root, folder, file))));
}

/** When a file was last modified; -Infinity when there is none. */
function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}
