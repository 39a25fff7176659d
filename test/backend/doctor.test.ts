import { expect, test } from "vitest";
import { doctor } from "../../src/backend/doctor-node.js";
import { backend } from "../support/backends.js";

test("the doctor names the engine in use and why, and what is installed", async () => {
  const findings = await doctor();
  const engine = findings.find(({ subject }) => subject === "engine in use");
  expect(engine).toMatchObject({ ok: true, detail: expect.stringContaining(`${backend.name} (BITWRIGHT_BACKEND)`) });
  for (const subject of ["native addon", "WebAssembly module", "onnxruntime-node"]) {
    expect(findings).toContainEqual(expect.objectContaining({ subject, ok: true }));
  }
});

test("the doctor reports a wrong setting instead of failing", async () => {
  const asked = process.env.BITWRIGHT_BACKEND;
  process.env.BITWRIGHT_BACKEND = "gpu";
  try {
    const engine = (await doctor()).find(({ subject }) => subject === "engine in use");
    expect(engine).toMatchObject({ ok: false, detail: expect.stringContaining("expected native or wasm") });
  } finally {
    process.env.BITWRIGHT_BACKEND = asked;
  }
});
