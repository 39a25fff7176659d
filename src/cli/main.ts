#!/usr/bin/env node
import { Command, CommanderError } from "commander";
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

try {
  await program.parseAsync();
} catch (error) {
  // Commander has printed its own errors, and what was asked for with --help.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`${explainFailure(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
