#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { BitwrightError } from "../errors.js";
import { commands } from "./commands.js";
import { exitCodeOf, explainFailure } from "./failure.js";
import { version } from "./version.js";

const program = new Command("bitwright")
  .description("Turns a float ONNX model into a mixed-precision one inside an accuracy band, and verifies it.")
  .version(version)
  .showSuggestionAfterError()
  .exitOverride();

for (const [name, { summary, load }] of Object.entries(commands)) {
  const command = program.command(name).summary(summary).description(summary).exitOverride();
  // Only what was asked for is loaded: `bitwright --help` and `bitwright doctor` need neither the engine nor the exporter.
  if (process.argv.includes(name)) (await load()).define(command);
}

// Without these a reader that leaves early, as in `bitwright inspect model.onnx | head`, ends the process with a stack trace.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (cause: NodeJS.ErrnoException) => {
    if (cause.code === "EPIPE") return;
    if (stream === process.stdout) process.stderr.write(`${explainFailure(unwritable(cause))}\n`);
    process.once("exit", () => {
      process.exitCode = 1;
    });
  });
}

function unwritable(cause: Error): BitwrightError {
  return new BitwrightError("io", `it cannot be written: ${cause.message}`, { where: "standard output", cause });
}

// Where nothing holds its event loop, Node waits in every turn for V8's background tasks, and the optimization of the solver's WebAssembly takes longer than its answers do.
const holding = setInterval(() => {}, 60_000);

try {
  await program.parseAsync();
} catch (error) {
  // Commander has printed its own errors, and what was asked for with --help.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`${explainFailure(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
} finally {
  clearInterval(holding);
}
// For the same reason it does not end by itself.
for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write("", resolve));
process.exit();
