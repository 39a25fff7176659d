// What the benches over the zoo share: where models and manifests are, and how the command line is run on them.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeDataset } from "../examples/shapes/dataset.mjs";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const defaultZoo = join(root, "..", "shared", "zoo");

/** Model and manifest of a name. @param {string} zoo @param {string} name - Of a manifest in bench/zoo, or `shapes`, the example's network. */
export function zooModel(zoo, name) {
  if (name === "shapes") return example();
  const manifest = join(root, "bench", "zoo", `${name}.json`);
  if (!existsSync(manifest)) throw new Error(`no manifest ${manifest}`);
  return { model: join(zoo, "models", `${name}.onnx`), manifest };
}

function example() {
  const folder = join(root, "examples", "shapes");
  const manifest = join(folder, "data", "dataset.json");
  if (!existsSync(manifest)) writeDataset(join(folder, "data"));
  return { model: join(folder, "shapes.onnx"), manifest };
}

/** Runs `bitwright`; its progress goes to the terminal. @param {readonly string[]} args */
export function bitwright(args) {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, [join(root, "dist", "bin", "bitwright.js"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { status, seconds: (performance.now() - start) / 1000 };
}

/** A table in Markdown. @param {readonly string[]} headings @param {readonly (readonly string[])[]} rows */
export function markdownTable(headings, rows) {
  return [headings, headings.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
