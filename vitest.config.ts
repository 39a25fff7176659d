import { defineConfig } from "vitest/config";

const backendTests = ["test/backend/**/*.test.ts"];

// Ten times what the slowest test takes: on a busy machine it still ends by itself, and what hangs is found.
const testTimeout = 60_000;

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout } },
      // One suite over both backends: only the setup file differs. A backend that is not built fails its tests.
      {
        test: {
          name: "backend-native",
          include: backendTests,
          testTimeout,
          setupFiles: ["test/support/use-native.ts"],
        },
      },
      { test: { name: "backend-wasm", include: backendTests, testTimeout, setupFiles: ["test/support/use-wasm.ts"] } },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 900_000 } },
    ],
  },
});
