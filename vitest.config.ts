import { defineConfig } from "vitest/config";

const backendTests = ["test/backend/**/*.test.ts"];

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      // One suite over both backends: only the setup file differs. A backend that is not built fails its tests.
      { test: { name: "backend-native", include: backendTests, setupFiles: ["test/support/use-native.ts"] } },
      { test: { name: "backend-wasm", include: backendTests, setupFiles: ["test/support/use-wasm.ts"] } },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 900_000 } },
    ],
  },
});
