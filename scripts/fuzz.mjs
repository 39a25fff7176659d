// Damages models and data sets and runs them through everything, in a process apart. Each must end in a BitwrightError or in a valid result: no crash,
// no hang, no other exception, no file left behind.
//
//   node scripts/fuzz.mjs [--seed N] [--runs N] [--backend native|wasm] [--models a.onnx,b.onnx] [--only K] [--seconds N]
//
// A run is 200 cases of one seed; `--only K` runs case K of the seed alone and shows its errors.

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const casesPerRun = 200;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1" },
    backend: { type: "string", default: "native" },
    models: { type: "string" },
    only: { type: "string" },
    seconds: { type: "string", default: "120" },
  },
});
const seed = Number(values.seed);
const models = values.models?.split(",").map((path) => resolve(path)) ?? [];
const temporary = mkdtempSync(join(tmpdir(), "bitwright-fuzz-"));

/** A process that runs cases; started anew after one that broke it. */
class Worker {
  #process;
  #stderr = "";
  /** Number of models and data sets that cases start from. */
  bases = 0;

  /** @returns {Promise<import("./fuzz/worker.mjs").Outcome>} */
  async run(seed, index) {
    this.#process ??= await this.#start();
    this.#stderr = "";
    this.#process.send({ seed, index });
    const answer = await this.#answer(Number(values.seconds));
    if (typeof answer !== "string") return answer;
    this.stop();
    return { what: "", code: "broken", faults: [`${answer}\n${this.#stderr.slice(0, 8000)}`], errors: [] };
  }

  stop() {
    this.#process?.kill("SIGKILL");
    this.#process = undefined;
  }

  async #start() {
    const module = fileURLToPath(new URL("fuzz/worker.mjs", import.meta.url));
    const child = fork(module, [JSON.stringify({ backend: values.backend, models })], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    child.stderr.on("data", (text) => {
      this.#stderr += text;
    });
    this.#process = child;
    const ready = await this.#answer(60);
    if (typeof ready === "string") throw new Error(`the worker does not start: ${ready}\n${this.#stderr}`);
    this.bases = ready.bases;
    return child;
  }

  /** The worker's message; words when none comes. */
  #answer(seconds) {
    const child = this.#process;
    return new Promise((resolve) => {
      const settle = (answer) => {
        clearTimeout(timer);
        child.removeAllListeners("message");
        child.removeAllListeners("close");
        resolve(answer);
      };
      const timer = setTimeout(() => settle(`did not end within ${seconds} seconds`), 1000 * seconds);
      child.once("message", settle);
      child.once("close", (code, signal) => settle(`ended the process by ${signal ?? `exit code ${code}`}`));
    });
  }
}

const worker = new Worker();
const codes = new Map();
let failures = 0;
let cases = 0;

async function run(seed, index) {
  const { what, code, faults, errors } = await worker.run(seed, index);
  cases++;
  codes.set(code, (codes.get(code) ?? 0) + 1);
  if (values.only !== undefined) console.log([what, ...errors].join("\n"));
  if (faults.length === 0) return;
  failures++;
  console.log(`seed ${seed}, case ${index}: ${what}\n  ${faults.join("\n  ").replaceAll("\n", "\n    ")}`);
}

try {
  if (values.only !== undefined) {
    await run(seed, Number(values.only));
  } else {
    for (let base = 0; base === 0 || base < worker.bases; base++) await run(seed, -1 - base);
    for (let s = seed; s < seed + Number(values.runs); s++) {
      console.log(`seed ${s} on ${values.backend}`);
      for (let index = 0; index < casesPerRun; index++) await run(s, index);
    }
  }
} finally {
  worker.stop();
  rmSync(temporary, { recursive: true, force: true });
}
console.log(`outcomes: ${[...codes].map(([code, count]) => `${code} ${count}`).join(", ")}`);
console.log(`${cases} cases, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
