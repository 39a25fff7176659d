// Runs on npm install: builds the native addon where that is possible and says in one line what will be used.
//   BITWRIGHT_NATIVE=auto      the default: without an addon the package runs on WebAssembly
//   BITWRIGHT_NATIVE=required  (or --required) fails when the addon cannot be built
//   BITWRIGHT_NATIVE=skip      does not try
import { buildAddon } from "./native.mjs";

const mode = process.argv.includes("--required") ? "required" : process.env.BITWRIGHT_NATIVE || "auto";
if (!["auto", "required", "skip"].includes(mode)) {
  console.error(`bitwright: BITWRIGHT_NATIVE: expected auto, required or skip; received ${mode}`);
  process.exit(1);
}

const failure = mode === "skip" ? { reason: "BITWRIGHT_NATIVE=skip", output: "" } : buildAddon();
if (failure === undefined) {
  console.log("bitwright: native addon built");
} else if (mode === "required") {
  console.error(`${failure.output}
bitwright: native addon not built: ${failure.reason}. It takes a C++ compiler and CMake 3.19 or newer`);
  process.exit(1);
} else {
  console.log(`bitwright: native addon not built (${failure.reason}); the WebAssembly engine will be used`);
}
