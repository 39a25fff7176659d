// Quantizes the example's network with the command line, as a user would: generates the data set where it is missing, and leaves the
// model with its plan and report in examples/shapes/out. Run by `npm run demo`, which builds first.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeDataset } from "./shapes/dataset.mjs";

const shapes = join("examples", "shapes");
const manifest = join(shapes, "data", "dataset.json");
const output = join(shapes, "out", "shapes.q.onnx");

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
if (!existsSync(manifest)) {
  console.log(`generating ${dirname(manifest)}`);
  writeDataset(dirname(manifest));
}
mkdirSync(dirname(output), { recursive: true });

const cli = join("dist", "bin", "bitwright.js");
const model = join(shapes, "shapes.onnx");
const args = ["quantize", model, "--data", manifest, "--keep", "99%", "--target", "ort-cpu", "-o", output];
console.log(`\n$ npx bitwright ${args.join(" ")}`);
const { status } = spawnSync(process.execPath, [cli, ...args], { stdio: "inherit" });
process.exitCode = status ?? 1;
